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
