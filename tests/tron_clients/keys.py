"""Makes addresses with tronpy from keys.

In, as JSON on stdin: `keys` (64 hex digits each, of a public test phrase), `typed` (texts that may be
addresses). Out, as JSON on stdout: `addresses`, and of each typed text whether it is one.
"""

import json
import sys

from tronpy import keys


def is_address(text):
    try:
        return keys.is_base58check_address(text)
    except ValueError:
        return False


asked = json.load(sys.stdin)
made = [keys.PrivateKey(bytes.fromhex(key)).public_key for key in asked["keys"]]
json.dump(
    {
        "addresses": [key.to_base58check_address() for key in made],
        "typed": [is_address(text) for text in asked["typed"]],
    },
    sys.stdout,
)
