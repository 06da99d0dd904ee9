//! Which kind of file system a file lies on: SQLite's write-ahead log needs memory that all its
//! readers share, which no network file system gives.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// File systems that several machines may have mounted, or that a program in user space serves, by
/// the magic number that statfs(2) reports.
const SHARED: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x0102_1997, "9P"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x786f_4256, "VirtualBox shared folder"),
    (0x6573_5546, "FUSE"),
];

/// The name of the shared file system that `path` lies on; `None` on a local disk.
///
/// # Errors
/// If the path does not exist or cannot be asked about.
pub fn shared(path: &Path) -> io::Result<Option<&'static str>> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statfs is plain numbers, for which zero is a value.
    let mut answer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a NUL and `answer` is a statfs to write to.
    if unsafe { libc::statfs(text.as_ptr(), &mut answer) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(name(answer.f_type as u32))
}

fn name(magic: u32) -> Option<&'static str> {
    SHARED.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_shared_file_systems_are_told_apart() {
        assert_eq!(name(0x6969), Some("NFS"));
        assert_eq!(name(0xef53), None, "ext4");
        assert_eq!(name(0x0102_1994), None, "tmpfs");
        assert_eq!(shared(Path::new("/proc")).unwrap(), None);
        assert!(shared(Path::new("/no/such/folder")).is_err());
    }
}
