# shellcheck shell=bash
# Somebody in the middle has a good token and a request that a device signed for its connection with him. On his own
# connection to the server it must be worth nothing: that is what the binding is for.
. "$SUITE_DIR/lib.sh"

serial=BR101009
device $serial >device.id
key device.key

# pass_on MADE-FOR SENT-ON
pass_on() {
    bound device.key passed.csr "$(<"$1.exporter")" "$serial"
    ask "$2" simpleenroll passed.csr "$(with_token "$(<device.id)")"
    issued "$2" device.key
}

attack() {
    dial device -tls1_3
    dial middle -tls1_3
    pass_on device middle
}

not_this_connection() {
    refused middle 400 'challengePassword does not link the request to this connection'
    # The same function gets a certificate where it is honest.
    dial device -tls1_3
    pass_on device device
}

must_fail 11 not_this_connection attack
