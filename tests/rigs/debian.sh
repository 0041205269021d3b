# Sourced by the build of a rig that is unpacked out of Debian: a folder of their own in the store, and
# an apt with a state of its own, so that nothing is installed and nothing needs root.
#
# Whoever sources it has set `rig`, its name, `title`, what is in it, and `recipe`, the digest of all that
# it is made from. It gets `place`, where the rig will be, and after `begin` a `log` and a `scratch` folder,
# which `finish` makes that place when all is done and `version` is in it: a half-built one is never taken
# for done.
# shellcheck shell=sh disable=SC2034,SC2154

rigs=${KILN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kiln}/rigs
place=$rigs/$rig

say() { echo "$rig: $*"; }
fail() { echo "$rig: $*" >&2; exit 1; }

# Ends here when it is there, made as this recipe says.
end_if_built() {
    [ "$(cat "$place/recipe" 2>/dev/null)" = "$recipe" ] || return 0
    say "$title $(cat "$place/version") is there, $place"
    exit 0
}

# Waits for another build of it, and makes the scratch folder.
begin() {
    [ "$(uname -m)" = x86_64 ] || fail "the rig is made of Debian's x86-64 packages, and this is $(uname -m)."
    mkdir -p "$rigs"
    exec 9>"$rigs/$rig.lock"
    flock 9
    end_if_built
    begun=$(date +%s)
    scratch=$(mktemp -d "$rigs/.$rig.XXXXXX")
    log=$rigs/$rig.log
    trap 'rm -rf --one-file-system "$scratch"' EXIT
    chmod 755 "$scratch"
}

# own_apt SUITE COMPONENTS UNUSED: reads what Debian's suite has. One package is installed in this
# state; it stands for the unused, words that may name a version (python3=3.11).
own_apt() {
    suite=$1
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1)
    [ -n "$mirror" ] || fail "apt names no Debian mirror here; give one in its sources."
    mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/archives/partial" \
        "$scratch/apt/apt.conf.d" "$scratch/apt/preferences.d" "$scratch/debs"
    {
        # As this machine's apt takes a mirror that is a snapshot of the past, or lies behind a proxy.
        apt-config dump | grep -E '^Acquire::(Check-Valid-Until|https?::Proxy) ' || true
        cat <<END
Dir::State "$scratch/apt"; Dir::State::status "$scratch/apt/status"; Dir::Cache "$scratch/apt";
Dir::Etc "$scratch/apt"; APT::Architecture "amd64"; APT::Architectures "amd64";
APT::Install-Recommends "false"; APT::Sandbox::User ""; Acquire::Languages "none";
END
    } > "$scratch/apt/apt.conf"
    export LC_ALL=C APT_CONFIG="$scratch/apt/apt.conf"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite $2" \
        > "$scratch/apt/sources.list"
    provided=$(for word in $3; do
        case $word in *=*) version=${word#*=} ;; *) version=999 ;; esac
        printf '%s (= %s), ' "${word%%=*}" "$version"
    done)
    cat > "$scratch/apt/status" <<END
Package: unused
Status: install ok installed
Architecture: amd64
Multi-Arch: allowed
Version: 1
Provides: ${provided%, }
Maintainer: none
Description: stands for what is not used here
END
    apt-get -q update > "$log" 2>&1 ||
        fail "Debian $suite cannot be read from $mirror: $(tail -n 1 "$log")"
}

# candidate PACKAGE: the version that the suite has now.
candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: \([0-9].*\)/\1/p'; }

# fetch LEFT_OUT PACKAGE...: they and all that they depend on to $scratch/debs, but for names that match.
fetch() {
    left_out=$1
    shift
    apt-get -q -s install "$@" > "$scratch/apt/planned" 2>> "$log" ||
        fail "$* cannot be had from Debian $suite at $mirror: $(tail -n 1 "$log")"
    names=$(sed -n 's/^Inst \([^ :]*\) .*/\1/p' "$scratch/apt/planned" | grep -v "$left_out")
    # shellcheck disable=SC2086 # a list of words
    { cd "$scratch/debs" && apt-get -q download $names; } >> "$log" 2>&1 ||
        fail "a package of Debian $suite cannot be fetched from $mirror: $(tail -n 1 "$log")"
}

# unpack FOLDER PATTERN...: the files of the fetched packages, without running their scripts.
unpack() {
    folder=$1
    shift
    find "$scratch/debs" -name '*.deb' "$@" -print0 |
        xargs -0 -P "$(nproc)" -I{} dpkg-deb --extract {} "$folder" >> "$log" 2>&1 ||
        fail "a package of Debian $suite cannot be unpacked: $(tail -n 1 "$log")"
}

finish() {
    rm -rf "$scratch/apt" "$scratch/debs"
    echo "$recipe" > "$scratch/recipe"
    rm -rf --one-file-system "$place"
    mv "$scratch" "$place"
    trap - EXIT
    say "$title $(cat "$place/version"), $(du -sm "$place" | cut -f1) MB," \
        "$(($(date +%s) - begun)) s, $place"
}
