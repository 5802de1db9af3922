//! TronGrid's pages: their rows, their order, their paging, and what is wrong with them.

use std::collections::BTreeSet;

use super::*;
use crate::tron::base58;

fn trc20(account: Address, query: &str) -> String {
    format!("accounts/{}/transactions/trc20?{query}", base58(account))
}

fn row_values(page: &Value) -> Vec<u64> {
    let value = |row: &Value| row["value"].as_str().unwrap().parse().unwrap();
    page["data"].as_array().unwrap().iter().map(value).collect()
}

/// The path below `/v1/` of a page's link to the next one.
fn next(node: &Node, page: &Value) -> Option<String> {
    let next = page["meta"]["links"]["next"].as_str()?;
    Some(next.strip_prefix(&format!("{}/v1/", node.url())).unwrap().to_owned())
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn rows_and_pages_have_the_keys_of_recorded_ones() {
    let node = grid(25).await;
    let page = v1(&node, &trc20(BOB, "limit=2&only_confirmed=true")).await;
    let row = &page["data"][0];
    let named = ["transaction_id", "token_info", "block_timestamp", "from", "to", "type", "value"];
    assert_eq!(keys(row), set(&named));
    assert_eq!(keys(&row["token_info"]), set(&["symbol", "address", "decimals", "name"]));
    assert_eq!(keys(&page), set(&["data", "success", "meta"]));
    assert_eq!(keys(&page["meta"]), set(&["at", "page_size", "fingerprint", "links"]));
    assert_eq!((&row["from"], &row["value"]), (&json!(base58(ANN)), &json!("7")));
    let all = v1(&node, &trc20(BOB, "limit=200&only_confirmed=true")).await;
    assert_eq!(keys(&all["meta"]), set(&["at", "page_size"]));
    let contract = base58(node.chain().spec().token.address);
    let events = v1(&node, &format!("contracts/{contract}/events?event_name=Transfer")).await;
    let named = [
        "block_number",
        "block_timestamp",
        "caller_contract_address",
        "contract_address",
        "event_index",
        "event_name",
        "result",
        "result_type",
        "event",
        "transaction_id",
        "_unconfirmed",
    ];
    assert_eq!(keys(&events["data"][0]), set(&named));
    assert_eq!(keys(&events["data"][0]["result"]), set(&["0", "1", "2", "from", "to", "value"]));
    let declared = "Transfer(address indexed from, address indexed to, uint256 value)";
    assert_eq!(events["data"][0]["event"], declared);
    assert_eq!(events["data"][0]["result"]["from"], format!("0x{}", hex::encode(ANN)));
}

#[tokio::test]
async fn paging_shows_every_row_once_while_blocks_are_mined() {
    let node = grid(11).await;
    for (order, expected) in
        [("desc", (1..=11).rev().collect::<Vec<_>>()), ("asc", (1..=11).collect())]
    {
        let query = format!("limit=4&order_by=block_timestamp,{order}&max_timestamp=1767225633000");
        let mut path = Some(trc20(BOB, &query));
        let mut seen = Vec::new();
        while let Some(at) = path {
            let page = v1(&node, &at).await;
            seen.extend(row_values(&page));
            path = next(&node, &page);
            node.chain().mine(vec![paid(99)]);
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn filters_are_those_of_trongrid() {
    let chain = chain();
    chain.mine(vec![paid(1), Tx::transfer(BOB, ANN, 2), Tx::transfer_of(FAKE, ANN, BOB, 3)]);
    chain.mine_empty(1);
    chain.mine(vec![paid(4).reverted(), paid(5)]);
    chain.solidify(2);
    let node = Node::start_grid(chain).await.unwrap();
    let token = base58(ChainSpec::tron().token.address);
    for (query, expected) in [
        ("", vec![5, 3, 2, 1]),
        ("only_to=true", vec![5, 3, 1]),
        ("only_from=true", vec![2]),
        ("only_confirmed=true", vec![3, 2, 1]),
        ("only_unconfirmed=true", vec![5]),
        (&format!("contract_address={token}"), vec![5, 2, 1]),
        ("min_timestamp=1767225609000", vec![5]),
        ("max_timestamp=1767225608999", vec![3, 2, 1]),
        ("colour=green", vec![5, 3, 2, 1]),
    ] {
        let page = v1(&node, &trc20(BOB, query)).await;
        assert_eq!(row_values(&page), expected, "{query}");
    }
    let id = hex::encode(node.chain().transactions(1)[0]);
    let events = v1(&node, &format!("transactions/{id}/events")).await;
    assert_eq!(events["data"][0]["result"]["value"], "1");
    assert_eq!(v1(&node, "blocks/latest/events").await["data"][0]["block_number"], 3);
    let two_hundred_one = heard(&format!("{}/v1/{}", node.url(), trc20(BOB, "limit=201"))).await;
    assert_eq!((two_hundred_one.status, two_hundred_one.body.as_str()), (400, ""));
}

#[tokio::test]
async fn a_fingerprint_is_for_the_question_it_was_given_to() {
    let node = grid(5).await;
    let page = v1(&node, &trc20(BOB, "limit=2")).await;
    let print = page["meta"]["fingerprint"].as_str().unwrap();
    let same = v1(&node, &trc20(BOB, &format!("limit=2&fingerprint={print}"))).await;
    assert_eq!(row_values(&same), [3, 2]);
    let other =
        format!("{}/v1/{}", node.url(), trc20(BOB, &format!("limit=3&fingerprint={print}")));
    assert_eq!(heard(&other).await.status, 400);
}

#[tokio::test]
async fn two_equal_transfers_in_one_transaction_are_two_rows_that_look_doubled() {
    let node = grid(0).await;
    node.chain().mine(vec![paid(7).and_transfer(ANN, BOB, 7)]);
    let page = v1(&node, &trc20(BOB, "")).await;
    assert_eq!(page["data"][0], page["data"][1]);
    node.chain().solidify(1);
    node.fault(Fault::DoubledRows);
    let page = v1(&node, &trc20(BOB, "")).await;
    let marks: Vec<_> =
        page["data"].as_array().unwrap().iter().map(|row| row.get("_unconfirmed")).collect();
    assert_eq!(marks, [Some(&json!(true)), None, Some(&json!(true)), None]);
}

#[tokio::test]
async fn each_fault_of_the_index_shows() {
    let node = grid(0).await;
    let approval = crate::tron::LogSpec::Approval {
        owner: BOB,
        spender: ANN,
        value: alloy::primitives::U256::MAX,
    };
    node.chain().mine(vec![paid(1), paid(2), Tx::empty().and(approval)]);
    node.chain().solidify(1);
    let page = async |query: &str| v1(&node, &trc20(BOB, query)).await;
    assert_eq!(row_values(&page("").await), [2, 1]);

    let lost = node.fault(Fault::LostRows { tx: node.chain().transactions(1)[0] });
    assert_eq!(row_values(&page("").await), [2]);
    node.heal_one(lost);

    node.fault(Fault::ApprovalRows);
    let shown = page("").await;
    assert_eq!(shown["data"][0]["type"], "Approval");
    assert_eq!(shown["data"].as_array().unwrap().len(), 3);
    node.heal();

    node.fault(Fault::NoTokenInfo);
    assert_eq!(page("").await["data"][0]["token_info"], json!({}));
    node.heal();

    node.fault(Fault::EmptyPages);
    let empty = page("limit=1").await;
    assert_eq!((&empty["data"], &empty["meta"]["page_size"]), (&json!([]), &json!(0)));
    let again = v1(&node, &next(&node, &empty).unwrap()).await;
    assert_eq!((&again["data"], again["meta"]["fingerprint"].is_string()), (&json!([]), true));
    node.heal();

    node.fault(Fault::NoFingerprint);
    let full = page("limit=1").await;
    assert_eq!((row_values(&full), next(&node, &full)), (vec![2], None));
    node.heal();

    node.fault(Fault::ForeignNext { origin: "https://evil.example".to_owned() });
    let link = page("limit=1").await["meta"]["links"]["next"].as_str().unwrap().to_owned();
    assert!(link.starts_with("https://evil.example/v1/accounts/T"), "{link}");
}
