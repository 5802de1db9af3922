// Makes addresses with tronweb, as a wallet would, from a public test phrase.
//
// In, as JSON on stdin: `phrase`, `path` (an account's external chain), `count`, `typed` (texts that
// may be addresses). Out, as JSON on stdout: `keys` and `addresses` of `path`/0 to `path`/count-1, and
// of each typed text whether it is one.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const installed = join(folder, "..", "..", ".cache", "node", "package.json");
const { TronWeb } = createRequire(installed)("tronweb");

const asked = JSON.parse(readFileSync(0, "utf8"));
const said = { keys: [], addresses: [], typed: asked.typed.map((text) => TronWeb.isAddress(text)) };
for (let index = 0; index < asked.count; index += 1) {
  const made = TronWeb.fromMnemonic(asked.phrase, `${asked.path}/${index}`);
  said.keys.push(made.privateKey.replace(/^0x/, ""));
  said.addresses.push(made.address);
}
process.stdout.write(JSON.stringify(said));
