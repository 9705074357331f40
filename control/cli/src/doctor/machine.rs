//! A machine as its files show it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most bytes of a file that are read: /proc/cpuinfo of a large server has some hundred KiB.
const MOST: u64 = 4 << 20;
/// The most entries of a directory that are looked at.
const ENTRIES: usize = 65_536;
/// The highest core that a list may name.
const HIGHEST_CORE: u32 = 8_191;

/// Its root directory, or a copy of it.
#[derive(Debug)]
pub(crate) struct Machine {
    root: PathBuf,
}

impl Machine {
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file's text without white space around it; none if it can't be read.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let path = self.path(path);
        if !path.metadata().ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file that holds a number.
    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// A file that holds a list of cores.
    pub(crate) fn cores(&self, path: &str) -> Option<Cores> {
        Cores::parse(&self.text(path)?)
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The last part of what a link points to.
    pub(crate) fn target(&self, path: &str) -> Option<String> {
        let target = fs::read_link(self.path(path)).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// The names in a directory, in order; none if it is not there.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .take(ENTRIES)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// A value of /proc/meminfo, MiB.
    pub(crate) fn memory_mib(&self, key: &str) -> Option<u64> {
        let text = self.text("proc/meminfo")?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib >> 10)
    }

    /// The value of a word of the kernel's command line.
    pub(crate) fn boot_option(&self, key: &str) -> Option<String> {
        let text = self.text("proc/cmdline")?;
        let value = |word: &str| Some(word.strip_prefix(key)?.strip_prefix('=')?.to_owned());
        text.split_whitespace().find_map(value)
    }
}

/// A set of cores, written as the kernel does: `0-3,8`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cores(pub(crate) BTreeSet<u32>);

impl Cores {
    /// Reads a list; flags before it, as in `isolcpus=domain,2-3`, are passed over. None if there is
    /// something else in it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut cores = BTreeSet::new();
        let words = text.trim().split(',').map(str::trim).filter(|word| !word.is_empty());
        let is_flag = |word: &&str| word.starts_with(|first: char| first.is_ascii_lowercase());
        for word in words.skip_while(is_flag) {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last > HIGHEST_CORE {
                return None;
            }
            cores.extend(first..=last);
        }
        Some(Self(cores))
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    pub(crate) fn both(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for &core in &self.0 {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == core => *last = core,
                _ => runs.push((core, core)),
            }
        }
        for (number, (first, last)) in runs.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_read_back_as_the_kernel_writes_them() {
        for list in ["", "0", "0-3,8", "2,4-5"] {
            assert_eq!(Cores::parse(list).unwrap().to_string(), list);
        }
        assert_eq!(Cores::parse("domain,managed_irq,2-3").unwrap().to_string(), "2-3");
        for wrong in ["3-2", "0-4294967295", "1,x", "-", "(null)"] {
            assert_eq!(Cores::parse(wrong), None, "{wrong}");
        }
    }
}
