# shellcheck shell=bash
# The way to trust.
. "$SUITE_DIR/lib.sh"

# the_cas VERSION OUT
the_cas() {
    est cacerts "$1" "$2"
    has "$2.txt" '^trusted: true$'
    all_cas "$2.pem"
}

of_label() {
    est cacerts 1.3 update label=update
    fingerprints "$VITAE_DIR/ca/update-root.pem" >update-root.txt
    fingerprints update.pem | has /dev/stdin "$(<update-root.txt)"
}

other_root() {
    fails client cacerts server="$EST_ADDRESS" trust="$VITAE_DIR/ca/update-root.pem" tls=TLSv1.3 out=none.pem
    has none.txt 'TlsFatalAlert: (certificate_unknown|bad_certificate|unknown_ca)'
    [[ ! -e none.pem ]]
}

claim 1 the_cas 1.2 old
claim 2 the_cas 1.3 new
claim 3 of_label
claim 4 other_root
