//! The completions and man pages that `cargo xtask dist` writes.

#[test]
fn completions_and_man_pages_know_every_subcommand_and_flag() {
    let folder = tempfile::tempdir().unwrap();
    let command = echo_client::command();
    let written = echo_cli::manual::write(&command, folder.path()).unwrap();
    assert!(written.iter().all(|path| path.is_file()), "{written:?}");
    assert_eq!(written.len(), 3 + 1 + command.get_subcommands().count());
    assert!(echo_cli::manual::gaps(&command, folder.path()).unwrap().is_empty());
}

#[test]
fn examples_keep_their_columns_and_each_foot_names_the_program() {
    let folder = tempfile::tempdir().unwrap();
    for path in echo_cli::manual::write(&echo_client::command(), folder.path()).unwrap() {
        if path.extension().is_some_and(|extension| extension == "1") {
            let text = std::fs::read_to_string(&path).unwrap();
            let version = concat!("\"echo-client ", env!("CARGO_PKG_VERSION"), "\"\n");
            assert!(text.lines().any(|line| format!("{line}\n").ends_with(version)), "{text}");
            let (_, examples) = text.split_once("\n.SH EXAMPLES\n.nf\n").unwrap();
            assert!(examples.starts_with("  echo\\-client ") && examples.contains("\n.fi\n"));
            assert!(!text.contains("SH EXTRA"));
        }
    }
}
