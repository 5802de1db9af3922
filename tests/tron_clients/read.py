"""Reads a TRON node with tronpy, as a shop would, and says what it read.

In, as JSON on stdin: `full` (a base URL that has /wallet and /walletsolidity), `blocks` (heights),
`ids`, `token`, `accounts` (T-addresses), `twenty` (addresses as 40 hex digits). Out, as JSON on
stdout: what tests/src/lab_tron compares. Ids are computed here from the raw data, not believed. No
network but that URL.
"""

import hashlib
import json
import sys

from tronpy import Tron, keys
from tronpy.exceptions import TransactionNotFound
from tronpy.providers import HTTPProvider

TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def computed(transaction):
    return hashlib.sha256(bytes.fromhex(transaction["raw_data_hex"])).hexdigest()


def base58(twenty):
    return keys.to_base58check_address("41" + twenty)


def transfers(info):
    return [
        {
            "token": log["address"],
            "from": base58(log["topics"][1][24:]),
            "to": base58(log["topics"][2][24:]),
            "value": str(int(log["data"], 16)),
        }
        for log in info.get("log", [])
        if log["topics"][0] == TRANSFER
    ]


def is_final(client, transaction):
    try:
        client.get_solid_transaction_info(transaction)
        return True
    except TransactionNotFound:
        return False


def read(asked):
    client = Tron(HTTPProvider(asked["full"]))
    said = {"blocks": {}, "transactions": {}, "infos": {}, "final": {}, "balances": {}}
    for height in asked["blocks"]:
        block = client.get_block(height)
        header = block["block_header"]["raw_data"]
        said["blocks"][height] = {
            "id": block["blockID"],
            "parent": header["parentHash"],
            "time": header.get("timestamp", 0),
            "ids": [computed(transaction) for transaction in block.get("transactions", [])],
        }
    for transaction_id in asked["ids"]:
        transaction = client.get_transaction(transaction_id)
        value = transaction["raw_data"]["contract"][0]["parameter"]["value"]
        said["transactions"][transaction_id] = {
            "id": computed(transaction),
            "owner": value["owner_address"],
            "result": transaction["ret"][0]["contractRet"],
        }
        info = client.get_transaction_info(transaction_id)
        said["infos"][transaction_id] = {
            "height": info["blockNumber"],
            "result": info["receipt"].get("result"),
            "failed": info.get("result") == "FAILED",
            "transfers": transfers(info),
        }
        said["final"][transaction_id] = is_final(client, transaction_id)
    said["tip"] = client.get_latest_block_number()
    said["solid"] = client.get_latest_solid_block_number()
    contract = client.get_contract(asked["token"])
    said["token"] = {
        "name": contract.functions.name(),
        "symbol": contract.functions.symbol(),
        "decimals": contract.functions.decimals(),
    }
    for account in asked["accounts"]:
        said["balances"][account] = str(contract.functions.balanceOf(account))
    said["addresses"] = {twenty: base58(twenty) for twenty in asked["twenty"]}
    return said


json.dump(read(json.load(sys.stdin)), sys.stdout)
