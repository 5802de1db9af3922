//! An EVM node, read through alloy, as payments::Update.
