// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// A token that behaves on the outside as USDT does on Ethereum, written for the tests.
///
/// The same: `transfer`, `transferFrom` and `approve` return nothing; a fee emits its own Transfer
/// before the net one; issuing, redeeming and destroying emit no Transfer; the arguments of the
/// owner's events are not indexed; after `deprecate` the logs come from the successor.
/// Not the same: the decimals are free, so that an 18-decimals twin is one constructor argument.
contract TestUsdt {
    string public constant name = "Tether USD";
    string public constant symbol = "USDT";
    uint256 public immutable decimals;
    uint256 public totalSupply;

    address public owner;
    bool public paused;
    uint256 public basisPointsRate;
    uint256 public maximumFee;
    bool public deprecated;
    address public upgradedAddress;
    /// The deprecated token that may move this one's balances, or zero.
    address public predecessor;

    mapping(address => uint256) private balances;
    mapping(address => mapping(address => uint256)) private allowances;
    mapping(address => bool) public isBlackListed;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Issue(uint256 amount);
    event Redeem(uint256 amount);
    event Deprecate(address newAddress);
    event Params(uint256 feeBasisPoints, uint256 maxFee);
    event AddedBlackList(address user);
    event RemovedBlackList(address user);
    event DestroyedBlackFunds(address user, uint256 balance);
    event Pause();
    event Unpause();
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    modifier onlyOwner() {
        require(msg.sender == owner, "only the owner");
        _;
    }

    modifier whenNotPaused() {
        require(!paused, "paused");
        _;
    }

    /// `initialSupply` is in base units and belongs to the deployer; no Transfer tells of it.
    constructor(uint256 initialSupply, uint256 tokenDecimals) {
        owner = msg.sender;
        decimals = tokenDecimals;
        totalSupply = initialSupply;
        balances[msg.sender] = initialSupply;
    }

    function balanceOf(address account) external view returns (uint256) {
        return deprecated ? TestUsdt(upgradedAddress).balanceOf(account) : balances[account];
    }

    function allowance(address holder, address spender) external view returns (uint256) {
        return allowances[holder][spender];
    }

    function approve(address spender, uint256 value) external {
        require(value == 0 || allowances[msg.sender][spender] == 0, "set it to zero first");
        allowances[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
    }

    function transfer(address to, uint256 value) external whenNotPaused {
        require(!isBlackListed[msg.sender], "blacklisted");
        if (deprecated) {
            TestUsdt(upgradedAddress).transferByLegacy(msg.sender, to, value);
        } else {
            move(msg.sender, to, value);
        }
    }

    /// Anyone may move nothing: a zero value needs no allowance.
    function transferFrom(address from, address to, uint256 value) external whenNotPaused {
        require(!isBlackListed[from], "blacklisted");
        uint256 allowed = allowances[from][msg.sender];
        if (allowed < type(uint256).max) {
            allowances[from][msg.sender] = allowed - value;
        }
        if (deprecated) {
            TestUsdt(upgradedAddress).transferByLegacy(from, to, value);
        } else {
            move(from, to, value);
        }
    }

    /// What a deprecated token calls on its successor: the log comes from this address.
    function transferByLegacy(address from, address to, uint256 value) external {
        require(msg.sender == predecessor, "only the predecessor");
        move(from, to, value);
    }

    /// The fee's Transfer comes first, then the net one, as on Ethereum (on TRON it is the reverse).
    function move(address from, address to, uint256 value) private {
        uint256 fee = (value * basisPointsRate) / 10000;
        if (fee > maximumFee) {
            fee = maximumFee;
        }
        uint256 net = value - fee;
        balances[from] -= value;
        balances[to] += net;
        if (fee > 0) {
            balances[owner] += fee;
            emit Transfer(from, owner, fee);
        }
        emit Transfer(from, to, net);
    }

    /// `newMaxFee` is in whole tokens. The bounds are those of the real contract.
    function setParams(uint256 newBasisPoints, uint256 newMaxFee) external onlyOwner {
        require(newBasisPoints < 20 && newMaxFee < 50, "beyond the bounds");
        basisPointsRate = newBasisPoints;
        maximumFee = newMaxFee * 10 ** decimals;
        emit Params(basisPointsRate, maximumFee);
    }

    function pause() external onlyOwner whenNotPaused {
        paused = true;
        emit Pause();
    }

    function unpause() external onlyOwner {
        require(paused, "not paused");
        paused = false;
        emit Unpause();
    }

    function addBlackList(address user) external onlyOwner {
        isBlackListed[user] = true;
        emit AddedBlackList(user);
    }

    function removeBlackList(address user) external onlyOwner {
        isBlackListed[user] = false;
        emit RemovedBlackList(user);
    }

    function destroyBlackFunds(address user) external onlyOwner {
        require(isBlackListed[user], "not blacklisted");
        uint256 balance = balances[user];
        balances[user] = 0;
        totalSupply -= balance;
        emit DestroyedBlackFunds(user, balance);
    }

    function issue(uint256 amount) external onlyOwner {
        balances[owner] += amount;
        totalSupply += amount;
        emit Issue(amount);
    }

    function redeem(uint256 amount) external onlyOwner {
        balances[owner] -= amount;
        totalSupply -= amount;
        emit Redeem(amount);
    }

    function deprecate(address successor) external onlyOwner {
        deprecated = true;
        upgradedAddress = successor;
        emit Deprecate(successor);
    }

    function setPredecessor(address token) external onlyOwner {
        predecessor = token;
    }

    function transferOwnership(address newOwner) external onlyOwner {
        require(newOwner != address(0), "no owner");
        emit OwnershipTransferred(owner, newOwner);
        owner = newOwner;
    }
}
