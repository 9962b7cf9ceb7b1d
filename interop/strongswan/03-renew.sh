# shellcheck shell=bash
# With --cert and --key, pki asks for simplereenroll.
. "$SUITE_DIR/lib.sh"

# renewed NAME OUT VERSION
renewed() {
    local name=$1 out=$2
    pki_key "$out.key"
    request_like "$name.pem" "$out.key" "$out.csr"
    est "$out" "$3" "$out.csr" --cert "$name.pem" --key "$name.key"
    has "$out.txt" "^negotiated TLS $3 "
    has "$out.txt" '^sending TLS client certificate '
    has "$out.txt" '^Issued certificate is trusted'
    of_key "$out.pem" "$out.key"
    successor "$out.pem" "$name.pem"
    owned "$out.pem" "$(<"$name.id")"
}

# What 'pki --req' makes when nobody says the URI in the way of request_like.
lost_name() {
    pki_key lost.key
    pki --print --in new.pem >lost.print
    pki --req --in lost.key --type ecdsa --dn "$(sed -n 's/^ *subject: *"\(.*\)"$/\1/p' lost.print)" >lost.csr
    fails est lost 1.3 lost.csr --cert new.pem --key new.key
    refused_by_est lost 403
}

claim 8 renewed old old-next 1.2
claim 9 renewed new new-next 1.3
claim 10 lost_name
