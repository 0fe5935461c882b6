"""Where Docker's own replies differ from Docker's specification, and ours do as Docker's do.

Every entry is (a pattern of places, the reason). A place is the operation's path and the members down to the value,
with [] for elements and {} for members of a map: "/containers/{id}/json.NetworkSettings.Networks{}.Aliases".
"""
import re

# Null where the specification does not say so.
NULLS = [
    (r"\.(Cmd|Entrypoint|OnBuild|Volumes|Env|Labels|ExposedPorts)$", "Go's nil slices and maps of a configuration"),
    (r"\.HostConfig\.\w+$", "Go's nil slices, maps and pointers of HostConfig are not omitted"),
    (r"\.Networks\{\}\.(IPAMConfig|Links|Aliases|DriverOpts|DNSNames)$", "nil slices and pointers of an endpoint"),
    (r"\.(SecondaryIPAddresses|SecondaryIPv6Addresses)$", "nil slices; dropped by 1.52"),
    (r"\.(ExecIDs|RepoTags|RepoDigests|Tags)$", "nil slices"),
    (r"\.(Warnings|ContainersDeleted|ImagesDeleted|VolumesDeleted|NetworksDeleted|CachesDeleted)$", "nothing was appended to a Go slice"),
    (r"^/volumes.*\.(Labels|Options)$|\.Volumes\[\]\.(Labels|Options)$|Volume\w*\.Items\[\]\.(Labels|Options)$", "what was not said at creation"),
    (r"^/networks.*\.(Options|Labels|Config)$", "what was not said at creation"),
    (r"\.(GenericResources|RemoteManagers|DriverStatus|GraphDriver\.Data)$", "nothing to tell"),
    (r"^/info\.Plugins\.Authorization$", "no plug-ins of that kind"),
    (r"^/info\.RegistryConfig\.AllowNondistributableArtifacts\w+$", "null in 1.48, gone after"),
    (r"^/containers/\{id\}/stats\..*(percpu_usage|blkio_stats\.\w+|networks)$", "nil where the kernel does not tell"),
    (r"^/system/df\.(Images|Containers|Volumes|BuildCache)$", "what was not asked for"),
    (r"\.Healthcheck$|\.Health$", "pointers that are not set"),
    (r"^/containers/\{id\}/changes$", "null when nothing changed"),
    (r"^/exec/\{id\}/json\.ExitCode$", "a pointer: it has not ended"),
]

# Members that the specification does not know.
UNKNOWN = [
    (r"^(/events|event)\.(status|id|from)$", "the flat fields of before 1.22, sent until 1.52"),
    (r"^/system/df\.BuilderSize$", "sent until 1.42"),
    (r"^/exec/\{id\}/json\.Driver$", "ours: which driver serves it"),
    (r"^/networks(/\{id\}|\[\])\.Config(From|Only)$|^/info\.KernelMemoryTCP$|^/events\.scope$", "Debian's specification of 1.41, which forgot them"),
    (r"^/containers/json\[\]\.Mounts\[\]\.(Name|Destination|Driver|Mode|RW|Propagation)$", "the same: it has the mounts of a request there"),
    (r"\.GraphDriver\.Data\.", "a map of the driver's"),
]

# Values beyond an enumeration.
ENUMS = [
    (r"\.(IpcMode|PidMode|UTSMode|UsernsMode|CgroupnsMode|Isolation|RestartPolicy\.Name|Propagation|Cgroup)$", "empty: nothing was chosen"),
    (r"\.Type$", "log drivers are no closed list"),
]

# Members that are required and yet are left out.
REQUIRED = [
]


# Values of another type than is said.
TYPES = [
    (r"^/system/df\.Containers\[\]$", "Debian's specification of 1.41, which takes a list for its elements"),
]

# Content types beyond those that an operation names.
PRODUCES = [
    (r"^GET /containers/\{id\}/logs application/vnd\.docker\.raw-stream$", "its name before 1.42"),
]


def excused(entries, place):
    return any(re.search(pattern, place) for pattern, _ in entries)
