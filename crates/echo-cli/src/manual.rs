//! Shell completions and man pages, made from a command line's own definition.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::Command;
use clap_complete::Shell;

/// The shells that most people have.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes the completions of `command` into `completions/`, and one man page for it and each of its
/// subcommands into `man/`. Returns what was written.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write(command: &Command, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let name = command.get_name().to_owned();
    let completions = folder.join("completions");
    std::fs::create_dir_all(&completions)?;
    let mut written = Vec::new();
    for shell in SHELLS {
        let mut command = command.clone();
        let path = clap_complete::generate_to(shell, &mut command, &name, &completions)?;
        if shell == Shell::Bash {
            // A hyphen in the program's name is taken for the boundary of a subcommand, in some places
            // only: there would be nothing to complete after a subcommand.
            let text = std::fs::read_to_string(&path)?;
            let text = text.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
            std::fs::write(&path, text)?;
        }
        written.push(path);
    }
    let man = folder.join("man");
    std::fs::create_dir_all(&man)?;
    // `help` has its page in every other.
    clap_mangen::generate_to(command.clone().disable_help_subcommand(true), &man)?;
    let subcommands = command.get_subcommands().map(|it| format!("{name}-{}", it.get_name()));
    for page in [name.clone()].into_iter().chain(subcommands) {
        let path = man.join(format!("{page}.1"));
        std::fs::write(&path, laid_out(&std::fs::read_to_string(&path)?, &page, command))?;
        written.push(path);
    }
    Ok(written)
}

/// A page as it is to be read: examples keep their columns, and each foot names the program.
fn laid_out(text: &str, page: &str, command: &Command) -> String {
    let program = format!("{} {}", command.get_name(), command.get_version().unwrap_or_default());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Some(title) = lines.iter_mut().find(|line| line.starts_with(".TH ")) {
        *title = format!(".TH {page} 1 \"\" \"{program}\"");
    }
    let Some(extra) = lines.iter().position(|line| line == ".SH EXTRA") else {
        return lines.join("\n") + "\n";
    };
    let after = lines.iter().skip(extra + 1).position(|line| line.starts_with(".SH "));
    lines.insert(after.map_or(lines.len(), |after| extra + 1 + after), ".fi".to_owned());
    lines.splice(extra..=extra, [".SH EXAMPLES".to_owned(), ".nf".to_owned()]);
    lines.retain(|line| line != "Examples:");
    lines.join("\n") + "\n"
}

/// What the completions and man pages in `folder` do not tell of `command`: its subcommands, and
/// the flags of each.
///
/// # Errors
/// When one of them cannot be read.
pub fn gaps(command: &Command, folder: &Path) -> io::Result<Vec<String>> {
    let mut gaps = Vec::new();
    let name = command.get_name();
    for entry in std::fs::read_dir(folder.join("completions"))? {
        let path = entry?.path();
        if !path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(name)) {
            continue; // another command's
        }
        let text = std::fs::read_to_string(&path)?;
        // Where bash goes when it has seen a subcommand.
        let states =
            text.lines().filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"'));
        let lost =
            states.filter(|it| !it.is_empty() && !text.contains(&format!("\n        {it})\n")));
        gaps.extend(lost.map(|it| format!("{}: {it}", path.display())));
        let missing = command.get_subcommands().filter(|it| !text.contains(it.get_name()));
        gaps.extend(missing.map(|it| format!("{}: {}", path.display(), it.get_name())));
    }
    let subcommands = command.get_subcommands().map(|it| (format!("{name}-{}", it.get_name()), it));
    for (page, command) in subcommands.chain([(name.to_owned(), command)]) {
        let text = std::fs::read_to_string(folder.join("man").join(format!("{page}.1")))?;
        let told = command.get_arguments().filter(|flag| !flag.is_hide_set());
        for flag in told.filter_map(clap::Arg::get_long) {
            // A hyphen that is to be copied is escaped.
            if !text.contains(&format!("--{flag}").replace('-', "\\-")) {
                gaps.push(format!("{page}.1: --{flag}"));
            }
        }
    }
    Ok(gaps)
}

/// What an example does that writes the manual of one binary: the folder is its only argument.
///
/// # Errors
/// As [`write()`] and [`gaps`], when something is left out, and when there is no argument.
pub fn main(command: &Command) -> io::Result<()> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| io::Error::other("which folder?"))?;
    for path in write(command, folder.as_ref())? {
        println!("{}", path.display());
    }
    match &gaps(command, folder.as_ref())?[..] {
        [] => Ok(()),
        gaps => Err(io::Error::other(format!("left out: {}", gaps.join(", ")))),
    }
}
