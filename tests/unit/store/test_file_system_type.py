"""What /proc/self/mountinfo says of the file system that holds a folder."""

from pathlib import Path

import pytest

from store.environment import file_system_type

MOUNTINFO = """\
21 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw
30 21 0:44 / /mnt/archive rw,relatime shared:16 master:3 - nfs4 filer:/archive rw,vers=4.2
31 30 0:45 / /mnt/archive/local rw,relatime - xfs /dev/vdb1 rw
32 21 0:46 / /mnt/my\\040pictures rw - cifs //nas/pictures rw
33 21 0:47 / /mnt/ssh rw shared:7 - fuse.sshfs user@host: rw
34 21 0:48 / /tmp rw - tmpfs tmpfs rw
35 21 0:49 / /mnt/twice rw - ext4 /dev/vdc rw
36 35 0:50 / /mnt/twice rw - ceph mon:/ rw
37 21 0:51 / /mnt/host rw - 9p drvfs rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "ext4"),
        ("/srv/orthanc", "ext4"),
        ("/mnt/archive", "nfs4"),
        ("/mnt/archive/deep/below", "nfs4"),
        ("/mnt/archive/local/x", "xfs"),
        ("/mnt/archives", "ext4"),  # begins like a mount point and is none
        ("/mnt/my pictures/x", "cifs"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/tmp/x", "tmpfs"),
        ("/mnt/twice/x", "ceph"),  # the later mount hides the earlier
        ("/mnt/host/data", "9p"),
    ],
)
def test_the_innermost_mount_decides(path: str, expected: str) -> None:
    assert file_system_type(Path(path), MOUNTINFO) == expected


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    link = tmp_path / "index"
    link.symlink_to("/mnt/archive/deep")
    assert file_system_type(link, MOUNTINFO) == "nfs4"


def test_nothing_is_claimed_without_mounts() -> None:
    assert not file_system_type(Path("/srv"), "")


def test_this_machine_has_a_root_file_system() -> None:
    assert file_system_type(Path("/"))
