//! Results on disk: a file is written whole or not at all.
//!
//! ```text
//! check, before a long run ──▶ write to .NAME.XXXXXX.tmp beside it ──▶ fsync ──▶ rename
//!                                             └─ failed: removed, and what was there stays
//! ```
//!
//! `-` is stdout. What is there and is no regular file (a pipe, a device, anything under `/dev` or
//! `/proc`) cannot be replaced, so it is written to as it stands.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use tempfile::Builder;
use thiserror::Error;

/// The longest name that is part of another, in bytes; file systems allow for 255.
const MAX_TOLD_NAME: usize = 200;

/// A file cannot be written.
#[derive(Debug, Error)]
#[error("cannot write {}", path.display())]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                "create its folder first, or name a file in another"
            }
            io::ErrorKind::IsADirectory => "name a file, not a folder",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "name a file where you may write"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room there, or name a file on another disk"
            }
            _ => "name another file",
        }
    }
}

/// A place for a file, found writable.
#[derive(Debug)]
pub(crate) struct WholeFile {
    /// As typed, for errors.
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stdout,
    /// Written to as it stands.
    Special,
    /// Written beside, then renamed. The path is where symlinks lead to.
    Regular(PathBuf),
}

impl WholeFile {
    /// Finds out whether `path` can be written, as far as that can be told before it is.
    ///
    /// # Errors
    /// [`WriteError`] when its folder is missing or takes no files, or it is a folder itself.
    pub(crate) fn check(path: &Path) -> Result<Self, WriteError> {
        let place =
            Place::of(path).map_err(|source| WriteError { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), place })
    }

    /// Whether it is what goes to stdout.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout)
    }

    /// Writes what `fill` writes, and all of it.
    ///
    /// # Errors
    /// [`WriteError`]; a regular file is then as it was before. A closed pipe is no error.
    pub(crate) fn write(
        &self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        let written = match &self.place {
            Place::Stdout => flushed(io::stdout().lock(), fill),
            Place::Special => {
                OpenOptions::new().write(true).open(&self.path).and_then(|file| flushed(file, fill))
            }
            Place::Regular(path) => replace(path, fill),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|source| WriteError { path: self.path.clone(), source }),
        }
    }
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let path = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            // A file that stdout was redirected to is not ours to replace either.
            Ok(found) if !found.is_file() || is_handed_to_us(path) => return Ok(Self::Special),
            Ok(_) => {
                let path = path.canonicalize()?;
                // Not truncated: a file that may not be written is not replaced, too.
                OpenOptions::new().write(true).open(&path)?;
                path
            }
            // A link to nowhere is a mistake that a rename would hide.
            Err(error) if fs::symlink_metadata(path).is_ok() => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        if path.file_name().is_none() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // Without a name where the system can do that: nothing to be seen, nothing to be left.
        tempfile::tempfile_in(folder_of(&path))?;
        Ok(Self::Regular(path))
    }
}

fn is_handed_to_us(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Writes beside `path` and renames. On an error, the half is removed.
fn replace(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let mut prefix = OsString::from(".");
    // So that it can be told whose it is; a name that is as long as names may be leaves no room.
    if let Some(name) = path.file_name().filter(|name| name.len() <= MAX_TOLD_NAME) {
        prefix.push(name);
        prefix.push(".");
    }
    let mut beside = Builder::new();
    beside.prefix(&prefix).suffix(".tmp");
    // A new file as any other program makes it, less what the umask takes; else as the old one was.
    let kept = fs::metadata(path).ok().map(|found| found.permissions());
    let made = beside.permissions(any_program_makes()).tempfile_in(folder)?;
    if let Some(permissions) = kept {
        made.as_file().set_permissions(permissions)?;
    }
    flushed(made.as_file(), fill)?;
    made.as_file().sync_all()?;
    made.persist(path)?;
    // The name, too, has to outlive a power cut. Not every file system can be asked.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(unix)]
fn any_program_makes() -> Permissions {
    use std::os::unix::fs::PermissionsExt;
    Permissions::from_mode(0o666)
}

fn flushed(
    output: impl Write,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    fill(&mut output)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read},
        os::unix::fs::{PermissionsExt, symlink},
        process::{Command, Stdio},
    };

    use super::*;

    fn write(path: &Path, text: &str) -> Result<(), WriteError> {
        WholeFile::check(path)?.write(|output| output.write_all(text.as_bytes()))
    }

    fn names_in(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        write(&path, "old").unwrap();
        let failed = WholeFile::check(&path).unwrap().write(|output| {
            output.write_all(&[b'x'; 100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.unwrap_err().fix().contains("make room"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names_in(folder.path()), ["out"]);
    }

    #[test]
    fn a_check_alone_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        WholeFile::check(&folder.path().join("out")).unwrap();
        assert!(names_in(folder.path()).is_empty());
    }

    #[test]
    fn a_kill_in_the_middle_of_writing_leaves_the_old_file_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        write(&path, "old").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "whole_file::tests::writes_half_and_waits_to_be_killed"])
            .args(["--ignored", "--nocapture"])
            .env("WRITE_HALF_TO", &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_half_way = said.map_while(Result::ok).any(|line| line.contains("half is written"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_half_way);
        assert_eq!(names_in(folder.path()).len(), 2, "the half is beside it");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    #[ignore = "run and killed by the test above"]
    fn writes_half_and_waits_to_be_killed() {
        let path = PathBuf::from(std::env::var_os("WRITE_HALF_TO").unwrap());
        let _ = WholeFile::check(&path).unwrap().write(|output| {
            output.write_all(&[b'x'; 100_000])?;
            output.flush()?;
            println!("half is written");
            // Until killed; without a parent, until its end of the pipe is gone.
            io::stdin().read_to_end(&mut Vec::new()).map(|_| ())
        });
    }

    #[test]
    fn a_name_may_be_as_long_as_names_are() {
        let folder = tempfile::tempdir().unwrap();
        let longest = folder.path().join("n".repeat(255));
        write(&longest, "whole").unwrap();
        assert_eq!(fs::read_to_string(&longest).unwrap(), "whole");
        assert!(WholeFile::check(&folder.path().join("n".repeat(256))).is_err());
    }

    #[test]
    fn what_cannot_be_written_is_said_before_anything_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file, "").unwrap();
        let nowhere = folder.path().join("link");
        symlink("gone", &nowhere).unwrap();
        for (path, fix) in [
            (folder.path().join("missing/out"), "create its folder first"),
            (file.join("out"), "create its folder first"),
            (folder.path().to_owned(), "not a folder"),
            (nowhere, "create its folder first"),
        ] {
            let error = WholeFile::check(&path).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()));
            assert!(error.fix().contains(fix), "{}: {}", path.display(), error.source);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_with_a_fix() {
        let error = write(Path::new("/dev/full"), "x").unwrap_err();
        assert!(error.fix().contains("make room"), "{}", error.source);
    }

    #[test]
    fn what_is_no_regular_file_is_written_to_as_it_stands() {
        write(Path::new("/dev/null"), "x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn permissions_are_the_umasks_for_a_new_file_and_stay_for_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("out"), folder.path().join("other"));
        write(&path, "").unwrap();
        fs::write(&other, "").unwrap();
        assert_eq!(mode_of(&path), mode_of(&other));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write(&path, "again").unwrap();
        assert_eq!(mode_of(&path), 0o640);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("out"), folder.path().join("link"));
        write(&path, "old").unwrap();
        symlink("out", &link).unwrap();
        write(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
