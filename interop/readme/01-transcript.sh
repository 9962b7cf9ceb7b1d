# shellcheck shell=bash
# What a new user types first.
. "$SUITE_DIR/../lib.sh"

{
    echo "set -eo pipefail"
    # The first line builds, makes and starts what is running already.
    sed -n 's/^\$ //p' "$SUITE_DIR/../../README.md" | tail -n +2 |
        sed -e "s|vitae-data|$VITAE_DIR|g" -e "s|localhost:8443|$EST_ADDRESS|g" -e "s|127.0.0.1:8080|$STATUS_ADDRESS|g"
} >transcript.sh

run_it() {
    equal "$(grep -c . transcript.sh)" 10
    vitae=$VITAE bash transcript.sh >transcript.txt 2>transcript.err
}

verifies() { has transcript.txt '^device\.pem: OK$'; }

traces() {
    has transcript.txt '^device +brannoc\.P3\.BR000001 '
    has transcript.txt '^stage at issue +deployment since '
    has transcript.txt '^approved by +admin .*one-time token'
}

revoked() {
    has transcript.txt '^device\.pem: revoked$'
    has transcript.txt 'Reason: keyCompromise'
}

claim 1 run_it
claim 2 verifies
claim 3 traces
claim 4 revoked
