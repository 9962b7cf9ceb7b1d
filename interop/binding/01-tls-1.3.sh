# shellcheck shell=bash
# TLS 1.3: what s_client exports for its connection is what the server expects in a request on it.
. "$SUITE_DIR/lib.sh"

serial=BR101001
device $serial >device.id
key device.key

# claim_of NAME CHALLENGE: sends a request with this challengePassword on the connection NAME.
claim_of() {
    bound device.key "$1.csr" "$2" "$serial"
    ask "$1" simpleenroll "$1.csr" "$(with_token "$(<device.id)")"
}

own_value() {
    dial own -tls1_3 -sess_out session.pem
    equal "$(wc -c <own.exporter)" 44
    claim_of own "$(<own.exporter)"
    issued own device.key
    cp own.pem device.pem
}

# Keys of their own, or the answer would be the certificate that was issued already.
other_value() {
    local name
    key device.key
    dial one -tls1_3
    dial two -tls1_3
    differ "$(<one.exporter)" "$(<two.exporter)"
    claim_of one "$(<two.exporter)"
    refused one 400 'challengePassword does not link the request to this connection'
    claim_of two enrolment-secret
    refused two 400 'challengePassword does not link the request to this connection'
    dial right -tls1_3
    claim_of right "$(<right.exporter)"
    issued right device.key
}

resumed_value() {
    [[ -s session.pem ]]
    key device.key
    dial again -tls1_3 -sess_in session.pem -sess_out session-2.pem
    resumed again
    differ "$(<again.exporter)" "$(<own.exporter)"
    claim_of again "$(<own.exporter)"
    refused again 400 'does not link'
    dial third -tls1_3 -sess_in session-2.pem
    resumed third
    claim_of third "$(<third.exporter)"
    issued third device.key
}

# The certificate of the last claim, with its key.
renewed() {
    local name
    key next.key
    dial first -tls1_3 -cert third.pem -key device.key
    dial second -tls1_3 -cert third.pem -key device.key
    for name in first second; do
        bound next.key "$name.csr" "$(<second.exporter)" third.pem
        ask "$name" simplereenroll "$name.csr"
    done
    refused first 400 'does not link'
    issued second next.key
}

no_claim() {
    key device.key
    csr device.key plain.csr
    dial plain -tls1_3
    ask plain simpleenroll plain.csr "$(with_token "$(<device.id)")"
    issued plain device.key
}

claim 1 own_value
claim 2 other_value
claim 3 resumed_value
claim 4 renewed
claim 5 no_claim
