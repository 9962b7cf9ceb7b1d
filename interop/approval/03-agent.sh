# shellcheck shell=bash
# The device side as Vitae brings it.
. "$SUITE_DIR/../lib.sh"
. "$SUITE_DIR/lib.sh"
own_server agent

patient() {
    device BR700021 >unit.id
    timeout 60 "$VITAE" agent enrol --url "${EST%%/.well-known*}" --trust "$CHAIN" --home agent.home --label ldev \
        --device "$(<unit.id)" --token "$(token "$(<unit.id)")" >agent.txt 2>&1 &
    local agent=$! tries
    for ((tries = 0; tries < 300; tries++)); do
        (($(waiting) == 0)) || break
        sleep 0.1
    done
    vitae approve list --json >list.json
    vitae approve grant "$(grep -oE '"id": "[0-9a-f]{16}"' list.json | grep -oE '[0-9a-f]{16}')"
    wait "$agent"
    has agent.txt 'asking again in 1 s'
    openssl x509 -in agent.home/identity.pem -noout -subject
    vitae cert list --device "$(<unit.id)" --status good --json >good.json
    has good.json "$(serial_of agent.home/identity.pem)"
}

claim 11 patient
