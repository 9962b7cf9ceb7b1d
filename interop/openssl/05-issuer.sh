# shellcheck shell=bash
# From a lone certificate up to the root, by the URLs in it.
. "$SUITE_DIR/lib.sh"

climb() {
    local certificate=device.pem steps=0
    until [[ $(openssl x509 -in "$certificate" -noout -subject_hash) == $(openssl x509 -in "$certificate" -noout -issuer_hash) ]]; do
        steps=$((steps + 1))
        http "issuer-$steps" "$(issuer_url "$certificate")"
        status_is "issuer-$steps" 200
        equal "$(header "issuer-$steps" Content-Type)" application/pkix-cert
        openssl x509 -inform DER -in "issuer-$steps.body" -out "issuer-$steps.pem"
        text "issuer-$steps.txt" openssl verify -partial_chain -trusted "issuer-$steps.pem" "$certificate"
        has "issuer-$steps.txt" ': OK$'
        certificate=issuer-$steps.pem
    done
    equal "$steps" 2
    equal "$(openssl x509 -in "$certificate")" "$(openssl x509 -in "$VITAE_DIR/ca/root.pem")"
}

claim 22 climb
