// Reads a TRON node with tronweb, as a wallet would, and says what it read.
//
// In, as JSON on stdin: `full`, `solidity`, `events` (base URLs), `blocks` (heights), `ids`,
// `token`, `accounts` (T-addresses), `twenty` (addresses as 40 hex digits). Out, as JSON on stdout:
// what tests/src/lab_tron compares. Ids are computed here from the parts of a transaction, not
// believed. No network but those URLs.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
const installed = join(folder, "..", "..", ".cache", "node", "package.json");
const { TronWeb, utils } = createRequire(installed)("tronweb");

const asked = JSON.parse(readFileSync(0, "utf8"));
const tron = new TronWeb({
  fullNode: asked.full,
  solidityNode: asked.solidity,
  eventServer: asked.events,
});
tron.setAddress(asked.token);

const base58 = (twenty) => TronWeb.address.fromHex(`41${twenty}`);
const word = (text) => base58(text.slice(24));

/// The id of the encoding of a transaction's parts.
function computed(transaction) {
  return utils.transaction.txPbToTxID(utils.transaction.txJsonToPb(transaction)).replace(/^0x/, "");
}

function transfers(info) {
  return (info.log ?? [])
    .filter((log) => log.topics[0] === "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
    .map((log) => ({
      token: base58(log.address),
      from: word(log.topics[1]),
      to: word(log.topics[2]),
      value: BigInt(`0x${log.data}`).toString(),
    }));
}

const said = { blocks: {}, transactions: {}, infos: {}, final: {}, balances: {}, addresses: {} };

for (const height of asked.blocks) {
  const block = await tron.trx.getBlockByNumber(height);
  said.blocks[height] = {
    id: block.blockID,
    parent: block.block_header.raw_data.parentHash,
    time: block.block_header.raw_data.timestamp ?? 0,
    ids: (block.transactions ?? []).map(computed),
  };
}
for (const id of asked.ids) {
  const transaction = await tron.trx.getTransaction(id);
  const [call] = transaction.raw_data.contract;
  said.transactions[id] = {
    id: computed(transaction),
    whole: utils.transaction.txCheck(transaction),
    owner: TronWeb.address.fromHex(call.parameter.value.owner_address),
    result: transaction.ret[0].contractRet,
  };
  const info = await tron.trx.getUnconfirmedTransactionInfo(id);
  said.infos[id] = {
    height: info.blockNumber,
    result: info.receipt.result ?? null,
    failed: info.result === "FAILED",
    transfers: transfers(info),
  };
  const final = await tron.trx.getTransactionInfo(id);
  said.final[id] = final.id !== undefined;
}
said.tip = (await tron.trx.getCurrentBlock()).block_header.raw_data.number;
said.solid = (await tron.trx.getConfirmedCurrentBlock()).block_header.raw_data.number;

const contract = await tron.contract().at(asked.token);
said.token = {
  name: await contract.name().call(),
  symbol: await contract.symbol().call(),
  decimals: Number(await contract.decimals().call()),
};
for (const account of asked.accounts) {
  said.balances[account] = (await contract.balanceOf(account).call()).toString();
}
for (const twenty of asked.twenty) said.addresses[twenty] = base58(twenty);

const events = await tron.event.getEventsByContractAddress(asked.token, { eventName: "Transfer", limit: 200 });
said.events = events.data.map((event) => ({
  id: event.transaction_id,
  to: base58(event.result.to.slice(2)),
  value: event.result.value,
}));

console.log(JSON.stringify(said));
