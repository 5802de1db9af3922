// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// What a paying wallet needs of a token; nothing is returned, as with USDT.
interface Token {
    function transferFrom(address from, address to, uint256 value) external;
}

/// Several token transfers in one transaction, as an exchange's batch or a swap makes them.
///
/// The caller pays and must have approved this contract. Written for the tests.
contract Multisend {
    struct Payment {
        address token;
        address to;
        uint256 value;
    }

    /// Makes every transfer, in this order, or none.
    function send(Payment[] calldata payments) external {
        pay(msg.sender, payments);
    }

    /// First makes the `undone` transfers inside a call that reverts and swallows the failure, then
    /// makes the `kept` ones: the transaction succeeds and holds the logs of `kept` alone.
    function sendAfterRevert(Payment[] calldata undone, Payment[] calldata kept) external {
        try this.payAndRevert(msg.sender, undone) {
            revert("the inner call did not revert");
        } catch Error(string memory reason) {
            require(keccak256(bytes(reason)) == keccak256("undone"), reason);
        }
        pay(msg.sender, kept);
    }

    /// The inner call of `sendAfterRevert`, for this contract alone.
    function payAndRevert(address from, Payment[] calldata payments) external {
        require(msg.sender == address(this), "only from inside");
        pay(from, payments);
        revert("undone");
    }

    function pay(address from, Payment[] calldata payments) private {
        for (uint256 i = 0; i < payments.length; i++) {
            Token(payments[i].token).transferFrom(from, payments[i].to, payments[i].value);
        }
    }
}
