#!/bin/sh
# SPDX-License-Identifier: MIT
#
# containers_podman.sh TRACEALLOC TICKER PAGE DIRECTORY: follows the steps of PAGE (man/containers.md) with
# containers of podman, whose storage is in DIRECTORY, an empty one. TICKER is a program that allocates and does
# not end. Prints what each step printed; the status is not 0 if one fails, and 77 where podman runs nothing.
#
# docker and kubectl are functions here that have podman do the same.
set -eu
tracealloc=$1
ticker=$2
page=$(realpath "$3")
cd "$4"

# Without what machines may not have: networks for containers, high limits, a journal, control groups of version 2.
cat >podman.conf <<EOF
[containers]
netns = "none"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
EOF
export CONTAINERS_CONF="$PWD/podman.conf"

docker() {
	podman --root "$PWD/storage" --runroot "$PWD/runroot" --storage-driver vfs "$@"
}

# kubectl debug -it POD --image IMAGE --target CONTAINER --profile sysadmin -- COMMAND...
# kubectl exec -it POD -c CONTAINER -- COMMAND...
# kubectl cp -c CONTAINER POD:PATH PATH
kubectl() {
	case $1 in
	debug)
		image=$5 target=$7
		shift 10
		docker run --rm --privileged --pid "container:$target" "$image" "$@"
		;;
	exec)
		container=$3-$5
		shift 6
		docker exec "$container" "$@"
		;;
	cp) docker cp "${4%%:*}-$3:${4#*:}" "$5" ;;
	esac
}

# make_image NAME PROGRAM...: an image of programs and what they are linked with; the last is what it runs.
make_image() {
	name=$1 root=$PWD/image-$1
	shift
	mkdir -p "$root/bin" "$root/tmp" "$root/proc"
	for program in "$@"; do
		cp -L "$program" "$root/bin/"
		for library in $(ldd "$program" | sed -nE 's/^([^/]*=>)?[[:space:]]*(\/[^ ]+) \(0x.*$/\2/p'); do
			mkdir -p "$root$(dirname "$library")"
			cp -L "$library" "$root$library"
		done
	done
	tar -C "$root" -c . | docker import --quiet --change "ENV PATH=/bin" --change "CMD [\"/bin/$(basename "$program")\"]" - "localhost/$name" >/dev/null
}

end() {
	docker pod rm --force --all >/dev/null 2>&1 || true
	docker rm --force --all --time 1 >/dev/null 2>&1 || true
	docker rmi --force --all >/dev/null 2>&1 || true
}
trap end EXIT

# steps NAME sh|yaml: what the page has of it, with our names in place of those that stand for the reader's.
steps() {
	awk -v name="<!-- steps: $1 -->" -v fence="\`\`\`$2" '
		$0 == name { marked = 1 }
		$0 == "<!-- end -->" { marked = 0 }
		/^```/ { inside = !inside && $0 == fence; next }
		marked && inside' "$page" |
		sed -E -e 's,IMAGE_WITH_TRACEALLOC,localhost/tools,; s,\<IMAGE\>,localhost/program,' \
			-e 's,\<NAME\>,server,; s,\<POD\>,server,; s,\<CONTAINER\>,server,; s,\<PROGRAM\>,ticker,' \
			-e 's,run --rm -it,run --rm,; s,\./prog,/bin/ls,; s,--for [0-9]+s,--for 1s,'
}

follow() {
	echo "== $1"
	steps "$1" sh >"$1.sh"
	[ -s "$1.sh" ]
	# shellcheck disable=SC1090 # made one line above
	. "./$1.sh"
}

make_image tools "$tracealloc" "$(command -v sh)" "$(command -v sleep)" "$(command -v ls)" "$(command -v pgrep)"
make_image program "$ticker"
docker run --rm localhost/program /bin/ticker --end 2>refused.txt || {
	cat refused.txt >&2
	exit 77
}

PATH=$(dirname "$tracealloc"):$PATH
follow run
docker run --detach --name server localhost/program /bin/ticker >server.txt
follow attach
follow debug
docker rm --force --time 1 server >removed.txt
steps pod yaml >server.yaml
docker play kube --network none server.yaml >played.txt
follow exec
