//! Every example runs to its end; each brings its own peer, on a port of the system's choice.

#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/chat.rs"]
mod chat;
#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/chat_tokio.rs"]
mod chat_tokio;
#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/header_body.rs"]
mod header_body;
#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/header_body_tokio.rs"]
mod header_body_tokio;
#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/patterns.rs"]
mod patterns;
#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/patterns_tokio.rs"]
mod patterns_tokio;
#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/rpc.rs"]
mod rpc;
#[expect(dead_code, reason = "`main` only calls `run`")]
#[path = "../examples/rpc_tokio.rs"]
mod rpc_tokio;

/// A test of each, and a check that no file is left out.
macro_rules! every_example_runs {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                $name::run().unwrap();
            }
        )*

        #[test]
        fn no_example_is_left_out() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
            let files = std::fs::read_dir(folder).unwrap();
            let mut files: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
            files.sort();
            assert_eq!(files, [$(concat!(stringify!($name), ".rs")),*]);
        }
    };
}

every_example_runs!(
    chat,
    chat_tokio,
    header_body,
    header_body_tokio,
    patterns,
    patterns_tokio,
    rpc,
    rpc_tokio,
);
