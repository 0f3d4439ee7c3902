#!/bin/sh
# Run a command inside a small, real Slurm on this computer: tests/slurm.sh FOLDER COMMAND ...
# Needs root and Debian's slurm-wlm and munge. Two nodes of two processors, n1 and n2, are two slurmd on loopback; they, the
# controller and munged are stopped when the command ends, however it ends. FOLDER takes slurm.conf, logs and jobs.txt (ended jobs).
set -eu
PATH=$PATH:/usr/sbin
mkdir -p "$1/state" "$1/n1" "$1/n2"
folder=$(cd "$1" && pwd)
shift

# config_overrides: the nodes have what is written here, whatever this computer has. SlurmdTimeout: seconds until a silent node is down.
cat > "$folder/slurm.conf" <<CONF
ClusterName=toy
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=2
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/jobs.txt
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
MailProg=/bin/true
NodeName=n1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17001 CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=4000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$folder/slurm.conf"

command=
daemons=
start() {
    "$@" >/dev/null 2>&1 &
    daemons="$daemons $!"
}
stop() {
    kill $command 2>/dev/null || true
    timeout 5 scancel --user=root 2>/dev/null || true
    for _ in 1 2 3 4 5 6 7 8 9 10; do # a slurmd that ends leaves its jobs running; a controller that is gone answers nothing
        [ -n "$(timeout 5 squeue --noheader 2>/dev/null)" ] || break
        sleep 1
    done
    kill $daemons 2>/dev/null || true
    (sleep 20 && kill -KILL $command $daemons) >/dev/null 2>&1 & # those that do not listen
    last_resort=$!
    wait $command $daemons || true
    kill $last_resort 2>/dev/null || true
}
# wait_for SECONDS WHAT CONDITION: the condition is a command
wait_for() {
    for _ in $(seq $(($1 * 5))); do
        if eval "$3"; then return 0; fi
        sleep 0.2
    done
    echo "expected $2 within $1 s, got none: see the logs in $folder" >&2
    exit 1
}
trap stop EXIT
trap 'exit 143' INT TERM HUP

dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 status=none
chmod 600 "$folder/munge.key"
start munged --foreground --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munge.pid" \
    --log-file="$folder/munge.log" --seed-file="$folder/munge.seed"
wait_for 20 "a socket of munged" '[ -S "$folder/munge.socket" ]'
start slurmctld -D
start slurmd -D -N n1
start slurmd -D -N n2
wait_for 60 "two idle nodes" '[ "$(sinfo --noheader --format=%D --states=idle 2>/dev/null)" = 2 ]'
exec 3<&0 # a command in the background would lose its input; one in the foreground would hold up the traps
"$@" <&3 &
command=$!
wait $command
