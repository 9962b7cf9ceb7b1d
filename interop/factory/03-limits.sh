# shellcheck shell=bash
# What roles.toml does not list is refused.
. "$SUITE_DIR/lib.sh"

outside() {
    unit BR770021
    unit BR770022
    unit BR770050
    vitae device register --maker brannoc --model S1 --serial BR770023 --stage manufacturing >BR770023.id
    key BR770023.key
    csr BR770023.key BR770023.csr -subj /serialNumber=BR770023
    base64 -w 0 BR770023.csr >BR770023.request
    belt line-7 BR770021 BR770050 BR770023 BR770022
    equal "$(<belt.connects)" 1
    born BR770021
    refused BR770050 403 'may not enrol the serial number BR770050: it may BR770000\.\.BR770029'
    refused BR770023 403 'model S1: it may P3'
    born BR770022
    est_post profile ldev/simpleenroll BR770021.csr --cert line-7.pem --key line-7.key
    refused profile 403 'may not enrol for profile ldev'
}

quota() {
    machine ra small-1 ra
    machine ra small-2 ra
    for number in 0 1 2 3 4; do unit "BR77003$number"; done
    belt small-1 BR770030 BR770031 BR770032
    born BR770030
    born BR770031
    refused BR770032 403 'whole quota of 2'
    belt small-2 BR770032 BR770033 BR770034
    born BR770032
    born BR770033
    refused BR770034 403 'whole quota of 2'
    vitae identity list >identities.txt
    has identities.txt '^ra\.small-2 .* 2 of 2'
}

names() {
    unit BR770024
    local subject
    for subject in / /CN=BR770024 /serialNumber=BR770099 /serialNumber=BR770024/O=aerune /serialNumber=BR770024/CN=P3-BR770025; do
        csr BR770024.key BR770024.csr -subj "$subject"
        base64 -w 0 BR770024.csr >BR770024.request
        belt line-7 BR770024
        refused BR770024 403 'says in the subject|no registered device|is not what the record'
    done
    csr BR770024.key BR770024.csr -subj /serialNumber=BR770024 -addext subjectAltName=DNS:est.hospital.example
    base64 -w 0 BR770024.csr >BR770024.request
    belt line-7 BR770024
    refused BR770024 403 'is not what the record'
}

stage() {
    unit BR770026 deployment
    belt line-7 BR770026
    refused BR770026 403 'is at stage deployment'
}

itself() {
    csr_like BR770001.pem BR770001.key renew.csr
    est_post renew idev/simplereenroll renew.csr --cert line-7.pem --key line-7.key
    refused renew 403 'does not renew for devices'
    unit BR770027
    est_post both idev/simpleenroll BR770027.csr --cert line-7.pem --key line-7.key \
        -u "$(<BR770027.id):$(token "$(<BR770027.id)" idev)"
    refused both 403 'different holders'
}

claim 8 outside
claim 9 quota
claim 10 names
claim 11 stage
claim 12 itself
