// Compiles the contracts of this folder with the pinned compiler that tests/run installs.
// `--write` replaces the committed artifacts; `--check` fails when one of them is not what
// the sources compile to. No network; the sources import nothing.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const installed = join(folder, "..", "..", ".cache", "node", "package.json");
const solc = createRequire(installed)("solc");

const names = ["TestUsdt", "Multisend"];
// `paris` runs on every EVM chain the tests speak of; without metadata the code depends on the
// source's meaning alone, not on its comments or path.
const settings = {
  evmVersion: "paris",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  optimizer: { enabled: true, runs: 200 },
};

const text = (name) => readFileSync(join(folder, `${name}.sol`), "utf8");
const input = {
  language: "Solidity",
  sources: Object.fromEntries(names.map((name) => [`${name}.sol`, { content: text(name) }])),
  settings: { ...settings, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const found of output.errors ?? []) {
  console.error(found.formattedMessage);
  process.exitCode = 1;
}
if (process.exitCode) process.exit();

/// One ABI entry a line, so that a change reads as a diff.
function artifact(name) {
  const { abi, evm } = output.contracts[`${name}.sol`][name];
  const rows = abi.map((entry) => `    ${JSON.stringify(entry)}`).join(",\n");
  return `{
  "contractName": ${JSON.stringify(name)},
  "compiler": ${JSON.stringify(`solc ${solc.version()}`)},
  "settings": ${JSON.stringify(settings)},
  "abi": [\n${rows}\n  ],
  "bytecode": "0x${evm.bytecode.object}"
}
`;
}

for (const name of names) {
  const path = join(folder, `${name}.json`);
  if (process.argv[2] === "--write") {
    writeFileSync(path, artifact(name));
  } else if (readFileSync(path, "utf8") !== artifact(name)) {
    console.error(`${name}.json is not what ${name}.sol compiles to; run compile.mjs --write`);
    process.exitCode = 1;
  }
}
