//! [`read_archive`] and [`write_archive`]: a directory of YAML files as tar or zip.
//!
//! Nothing is ever written to the file system: an archive is read into memory, within limits that do not depend on the
//! sizes that it declares.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Cursor, Read, Write as _};
use std::str::FromStr;

use thiserror::Error;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::specs::domain::{NameError, SpecName};

/// The maximum number of entries of an archive.
pub const MAX_ENTRIES: usize = 10_000;

/// The maximum size of all files of an archive, in bytes.
pub const MAX_ARCHIVE_BYTES: usize = 64 << 20;

/// The format of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// A tape archive, not compressed.
    Tar,
    /// A zip file.
    Zip,
}

impl ArchiveFormat {
    /// Returns the name of the format, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Zip => "zip",
        }
    }
}

impl fmt::Display for ArchiveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of parsing an [`ArchiveFormat`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown format: {0:?}; expected tar or zip")]
pub struct UnknownFormat(String);

impl FromStr for ArchiveFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "tar" => Ok(Self::Tar),
            "zip" => Ok(Self::Zip),
            other => Err(UnknownFormat(other.chars().take(40).collect())),
        }
    }
}

/// A file of an archive: the content of one specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// The name of the specification, which is the name of the file without its extension.
    pub name: SpecName,
    /// The content, not yet validated.
    pub content: Vec<u8>,
}

/// The error of [`read_archive`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive cannot be read.
    #[error("the {format} archive cannot be read; create it again")]
    Broken {
        /// The expected format.
        format: ArchiveFormat,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The archive has too many entries.
    #[error("too many entries in the archive; the limit is {MAX_ENTRIES}")]
    TooManyEntries,
    /// A file is too large.
    #[error("file too large: {path:?}; the limit of a content is {limit} bytes")]
    FileTooLarge {
        /// The path in the archive.
        path: String,
        /// The maximum size of a content in bytes.
        limit: usize,
    },
    /// The files are too large together.
    #[error("archive too large; its files can have {MAX_ARCHIVE_BYTES} bytes together")]
    TooLarge,
    /// An entry is neither a file nor a directory.
    #[error("entry not allowed: {path:?} is {kind}; an archive has files and directories only")]
    NotAFile {
        /// The path in the archive.
        path: String,
        /// The kind of the entry.
        kind: &'static str,
    },
    /// The path of an entry leaves the archive, or is not text.
    #[error("unsafe path: {path:?}; a path is relative and has no `..`")]
    UnsafePath {
        /// The path in the archive.
        path: String,
    },
    /// A file has another extension.
    #[error("unexpected file: {path:?}; expected `NAME.yaml` or `NAME.yml`")]
    NotYaml {
        /// The path in the archive.
        path: String,
    },
    /// The name of a file is not a valid name of a specification.
    #[error("invalid file name: {path:?}")]
    Name {
        /// The path in the archive.
        path: String,
        /// The reason.
        source: NameError,
    },
    /// Two files have the same name.
    #[error("two files for {name}; each specification has one file")]
    Duplicate {
        /// The name of the specification.
        name: SpecName,
    },
}

/// Reads the files of an archive, each of at most `max_content` bytes.
///
/// A path can have directories, which mean nothing: the name of the specification is the name of the file.
///
/// # Errors
/// Returns an [`ArchiveError`] if the archive is damaged, too large, or has entries other than YAML files.
pub fn read_archive(
    format: ArchiveFormat,
    archive: &[u8],
    max_content: usize,
) -> Result<Vec<ArchiveFile>, ArchiveError> {
    let mut reader = ArchiveReader {
        max_content,
        entries: 0,
        bytes: 0,
        names: BTreeSet::new(),
        files: Vec::new(),
    };
    match format {
        ArchiveFormat::Tar => reader.read_tar(archive)?,
        ArchiveFormat::Zip => reader.read_zip(archive)?,
    }
    Ok(reader.files)
}

/// The files of an archive so far.
struct ArchiveReader {
    max_content: usize,
    entries: usize,
    bytes: usize,
    names: BTreeSet<String>,
    files: Vec<ArchiveFile>,
}

impl ArchiveReader {
    fn read_tar(&mut self, archive: &[u8]) -> Result<(), ArchiveError> {
        let broken = broken(ArchiveFormat::Tar);
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(&broken)? {
            let mut entry = entry.map_err(&broken)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            self.count_entry()?;
            let kind = entry.header().entry_type();
            let refused = match kind {
                tar::EntryType::Regular | tar::EntryType::Continuous => None,
                // The header of `git archive` has the commit.
                tar::EntryType::Directory | tar::EntryType::XGlobalHeader => {
                    check_path(&path)?;
                    continue;
                }
                tar::EntryType::Symlink | tar::EntryType::Link => Some("a link"),
                tar::EntryType::GNUSparse => Some("a sparse file"),
                _ => Some("a special file"),
            };
            if let Some(kind) = refused {
                return Err(ArchiveError::NotAFile { path, kind });
            }
            self.read_file(ArchiveFormat::Tar, path, &mut entry)?;
        }
        Ok(())
    }

    fn read_zip(&mut self, archive: &[u8]) -> Result<(), ArchiveError> {
        let broken = broken(ArchiveFormat::Zip);
        let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(&broken)?;
        for index in 0..archive.len() {
            self.count_entry()?;
            let mut entry = archive.by_index(index).map_err(&broken)?;
            let path = entry.name().map_err(&broken)?.into_owned();
            if entry.is_dir() {
                check_path(&path)?;
                continue;
            }
            // The file type of Unix; files of other systems have none.
            let file_type = entry.unix_mode().unwrap_or_default() & 0o17_0000;
            let kind = match file_type {
                0 | 0o10_0000 => None,
                0o12_0000 => Some("a link"),
                _ => Some("a special file"),
            };
            if let Some(kind) = kind {
                return Err(ArchiveError::NotAFile { path, kind });
            }
            self.read_file(ArchiveFormat::Zip, path, &mut entry)?;
        }
        Ok(())
    }

    fn count_entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        match self.entries > MAX_ENTRIES {
            true => Err(ArchiveError::TooManyEntries),
            false => Ok(()),
        }
    }

    fn read_file(
        &mut self,
        format: ArchiveFormat,
        path: String,
        entry: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let name = name(&path)?;
        let mut content = Vec::new();
        let limit = self.max_content as u64 + 1;
        let read = entry.take(limit).read_to_end(&mut content);
        read.map_err(broken(format))?;
        if content.len() > self.max_content {
            let limit = self.max_content;
            return Err(ArchiveError::FileTooLarge { path, limit });
        }
        self.bytes += content.len();
        if self.bytes > MAX_ARCHIVE_BYTES {
            return Err(ArchiveError::TooLarge);
        }
        if !self.names.insert(name.as_str().to_owned()) {
            return Err(ArchiveError::Duplicate { name });
        }
        self.files.push(ArchiveFile { name, content });
        Ok(())
    }
}

fn broken<E>(format: ArchiveFormat) -> impl Fn(E) -> ArchiveError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |error| ArchiveError::Broken {
        format,
        source: error.into(),
    }
}

/// Checks that a path stays inside of the archive on every system.
fn check_path(path: &str) -> Result<(), ArchiveError> {
    let is_unsafe = path.starts_with('/')
        || path.contains(['\\', '\0', ':', char::REPLACEMENT_CHARACTER])
        || path.split('/').any(|part| part == "..");
    match is_unsafe {
        true => Err(ArchiveError::UnsafePath {
            path: path.to_owned(),
        }),
        false => Ok(()),
    }
}

/// Returns the name of the specification in the file `path`.
fn name(path: &str) -> Result<SpecName, ArchiveError> {
    check_path(path)?;
    let path = || path.to_owned();
    let owned = path();
    let file = owned.rsplit('/').next().unwrap_or_default();
    let stem = file.strip_suffix(".yaml").or(file.strip_suffix(".yml"));
    let stem = stem.ok_or_else(|| ArchiveError::NotYaml { path: path() })?;
    SpecName::parse(stem).map_err(|source| ArchiveError::Name {
        path: path(),
        source,
    })
}

/// Creates an archive with a file `NAME.yaml` for each specification.
///
/// The same files give the same bytes: the archive has no times and no owners.
///
/// # Errors
/// Returns an error if a file is larger than the format allows.
pub fn write_archive<'f>(
    format: ArchiveFormat,
    files: impl IntoIterator<Item = (&'f SpecName, &'f [u8])>,
) -> io::Result<Vec<u8>> {
    match format {
        ArchiveFormat::Tar => write_tar(files),
        ArchiveFormat::Zip => write_zip(files),
    }
}

fn write_tar<'f>(files: impl IntoIterator<Item = (&'f SpecName, &'f [u8])>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{name}.yaml"), content)?;
    }
    archive.into_inner()
}

fn write_zip<'f>(files: impl IntoIterator<Item = (&'f SpecName, &'f [u8])>) -> io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .unix_permissions(0o644);
    for (name, content) in files {
        archive.start_file(format!("{name}.yaml"), options)?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [ArchiveFormat; 2] = [ArchiveFormat::Tar, ArchiveFormat::Zip];

    fn spec(name: &str) -> SpecName {
        SpecName::parse(name).unwrap()
    }

    /// Creates an archive with any paths.
    fn archive(format: ArchiveFormat, files: &[(&str, &[u8])]) -> Vec<u8> {
        match format {
            ArchiveFormat::Tar => {
                let mut archive = tar::Builder::new(Vec::new());
                for (path, content) in files {
                    let mut header = tar::Header::new_gnu();
                    header.as_gnu_mut().unwrap().name[..path.len()]
                        .copy_from_slice(path.as_bytes());
                    header.set_size(content.len() as u64);
                    header.set_cksum();
                    archive.append(&header, *content).unwrap();
                }
                archive.into_inner().unwrap()
            }
            ArchiveFormat::Zip => {
                let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
                for (path, content) in files {
                    archive
                        .start_file(*path, SimpleFileOptions::default())
                        .unwrap();
                    archive.write_all(content).unwrap();
                }
                archive.finish().unwrap().into_inner()
            }
        }
    }

    fn refused(format: ArchiveFormat, files: &[(&str, &[u8])]) -> String {
        let read = read_archive(format, &archive(format, files), 100);
        read.unwrap_err().to_string()
    }

    #[test]
    fn archive_has_the_files_that_were_written() {
        let long = "n".repeat(255);
        let files = [
            (spec("limits"), &b"a: 1\n"[..]),
            (spec("..x"), b"b: 2\n"),
            (spec(&long), b"c"),
        ];
        for format in FORMATS {
            let write = || {
                write_archive(format, files.iter().map(|(name, content)| (name, *content))).unwrap()
            };
            let written = write();
            let read = read_archive(format, &written, 100).unwrap();
            let read: Vec<_> = read
                .iter()
                .map(|file| (file.name.clone(), &file.content[..]))
                .collect();
            assert_eq!(read, files, "{format}");
            assert_eq!(write(), written, "{format}");
        }
    }

    #[test]
    fn archive_can_have_directories() {
        for format in FORMATS {
            let archive = archive(format, &[("./a/b/limits.yml", b"a"), ("routes.yaml", b"b")]);
            let read = read_archive(format, &archive, 100).unwrap();
            let names: Vec<_> = read.iter().map(|file| file.name.as_str()).collect();
            assert_eq!(names, ["limits", "routes"], "{format}");
        }
    }

    #[test]
    fn path_outside_of_the_archive_is_refused() {
        for format in FORMATS {
            for path in [
                "../a.yaml",
                "a/../../b.yaml",
                "/etc/a.yaml",
                "a\\..\\b.yaml",
                "c:/a.yaml",
            ] {
                let expected = format!("unsafe path: {path:?}; a path is relative and has no `..`");
                assert_eq!(refused(format, &[(path, b"a")]), expected, "{format}");
            }
        }
    }

    #[test]
    fn file_that_is_no_specification_is_refused() {
        for format in FORMATS {
            assert_eq!(
                refused(format, &[("README.md", b"a")]),
                "unexpected file: \"README.md\"; expected `NAME.yaml` or `NAME.yml`"
            );
            assert_eq!(
                refused(format, &[("a b.yaml", b"a")]),
                "invalid file name: \"a b.yaml\""
            );
            assert_eq!(
                refused(format, &[("a/x.yaml", b"a"), ("b/x.yml", b"a")]),
                "two files for x; each specification has one file"
            );
            assert_eq!(
                refused(format, &[("x.yaml", &[b'a'; 101])]),
                "file too large: \"x.yaml\"; the limit of a content is 100 bytes"
            );
        }
    }

    #[test]
    fn links_are_refused() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "x.yaml", "/etc/passwd")
            .unwrap();
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("x.yaml", "/etc/passwd", SimpleFileOptions::default())
            .unwrap();
        let archives = [
            tar.into_inner().unwrap(),
            zip.finish().unwrap().into_inner(),
        ];
        for (format, archive) in FORMATS.into_iter().zip(archives) {
            let error = read_archive(format, &archive, 100).unwrap_err();
            assert_eq!(
                error.to_string(),
                "entry not allowed: \"x.yaml\" is a link; an archive has files and directories only"
            );
        }
    }

    #[test]
    fn bomb_is_refused_before_it_fills_the_memory() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("x.yaml", SimpleFileOptions::default())
            .unwrap();
        for _ in 0..16 {
            zip.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        let bomb = zip.finish().unwrap().into_inner();
        assert!(bomb.len() < 1 << 20);
        let error = read_archive(ArchiveFormat::Zip, &bomb, 1 << 20).unwrap_err();
        assert!(
            matches!(error, ArchiveError::FileTooLarge { .. }),
            "{error}"
        );

        let content = vec![b' '; 1 << 20];
        let names: Vec<_> = (0..65).map(|number| spec(&format!("s{number}"))).collect();
        let files = names.iter().map(|name| (name, &content[..]));
        let bomb = write_archive(ArchiveFormat::Tar, files).unwrap();
        let error = read_archive(ArchiveFormat::Tar, &bomb, 1 << 20).unwrap_err();
        assert!(matches!(error, ArchiveError::TooLarge), "{error}");
    }

    #[test]
    fn archive_with_too_many_entries_is_refused() {
        let names: Vec<_> = (0..=MAX_ENTRIES)
            .map(|number| spec(&format!("s{number}")))
            .collect();
        for format in FORMATS {
            let archive =
                write_archive(format, names.iter().map(|name| (name, &b"a"[..]))).unwrap();
            let error = read_archive(format, &archive, 100).unwrap_err();
            assert!(matches!(error, ArchiveError::TooManyEntries), "{error}");
        }
    }

    #[test]
    fn damaged_archive_is_refused() {
        for format in FORMATS {
            let whole = archive(format, &[("x.yaml", &[b'a'; 90])]);
            // The first end is in the header of the file, the other one is in its content.
            let content = match format {
                ArchiveFormat::Tar => 512 + 45,
                ArchiveFormat::Zip => whole.len() / 2,
            };
            for end in [20, content] {
                let read = read_archive(format, &whole[..end], 100);
                assert!(
                    matches!(read, Err(ArchiveError::Broken { .. })),
                    "{format} {end} {read:?}"
                );
            }
            let read = read_archive(format, b"hello", 100);
            assert!(
                matches!(read, Err(ArchiveError::Broken { .. })),
                "{format} {read:?}"
            );
        }
    }
}
