//! The answers of a real java-tron in `fixtures/java-tron`, for tests.

use payments::address::{Address, from_hex};
use serde_json::Value;

use crate::decode::{self, Asked, Block, Row};

/// The token of the recorded chain.
pub(crate) const TOKEN: &str = "720b78b919edac8419206a44101b4638aa3e3348";
/// A contract that says it is the same.
pub(crate) const LOOK_ALIKE: &str = "e433e3f1369790b4780bfa5977ffcd5b3beea843";

pub(crate) fn json(name: &str) -> Value {
    let path = format!("{}/../../fixtures/java-tron/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn address(hex: &str) -> Address {
    Address(from_hex(hex).unwrap())
}

/// A recorded block and its infos, as they came.
pub(crate) fn pair(height: u64) -> (Value, Value) {
    let of = |name| json(name)[height.to_string()].take();
    (of("getblockbynum"), of("gettransactioninfobyblocknum"))
}

pub(crate) fn block(json: &Value) -> Block {
    decode::block(json.to_string().as_bytes()).unwrap().unwrap()
}

pub(crate) fn rows(
    token: &str,
    block: &Block,
    infos: &Value,
) -> Result<Vec<Row>, decode::DecodeError> {
    decode::infos(
        infos.to_string().as_bytes(),
        Asked { token: address(token), others: false },
        block,
        0,
    )
}
