//! Rows of an index that is wrong in every way it was seen to be.

use serde_json::json;

use super::*;

const USDT: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
const OURS: &str = "TM1zzNDZD2DPASbKcgdVoTYhfmYgtfwx9R";
const OTHER: &str = "TGg7zHY9qd36aN3jLVDDRuiFeJjaaAtx8A";

fn hint(row: &serde_json::Value) -> Option<TxHash> {
    let body = json!({"data": [row], "success": true, "meta": {}}).to_string();
    let page: Page<'_> = decode::read(body.as_bytes()).unwrap();
    let address = |text| Address::parse(text).unwrap();
    page.data.first().unwrap().hint(address(USDT), address(OURS))
}

#[test]
fn a_row_is_a_hint_and_no_more() {
    let row = json!({
        "transaction_id": "ab".repeat(32), "type": "Transfer", "to": OURS, "from": OTHER,
        "block_timestamp": 1_592_757_117_000i64, "value": "1", "_unconfirmed": true,
        "token_info": {"address": USDT, "symbol": "USDT", "decimals": 6, "name": "Tether \"USD\""},
    });
    let tx = Some(TxHash([0xab; 32]));
    assert_eq!(hint(&row), tx);
    let with = |field: &str, value: serde_json::Value| {
        let mut row = row.clone();
        row[field] = value;
        hint(&row)
    };
    // The value is not even read.
    assert_eq!(with("value", json!("999999999999")), tx);
    for empty in [json!({}), json!(null), json!({"symbol": "USDT"})] {
        assert_eq!(with("token_info", empty), tx);
    }
    assert_eq!(with("token_info", json!({"address": OTHER, "symbol": "USDT"})), None);
    assert_eq!(with("type", json!("Approval")), None);
    assert_eq!(with("type", json!(null)), None);
    assert_eq!(with("to", json!(OTHER)), None);
    assert_eq!(with("to", json!("nonsense")), None);
    assert_eq!(with("transaction_id", json!("ab")), None);
}

#[test]
fn an_answer_without_rows_is_not_an_empty_page() {
    for body in ["{}", r#"{"success":true}"#, "[]", r#"{"data":[{"to":"T"#] {
        assert!(decode::read::<Page<'_>>(body.as_bytes()).is_err(), "{body}");
    }
}
