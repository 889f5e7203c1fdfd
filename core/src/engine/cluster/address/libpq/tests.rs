use proptest::prelude::*;

use super::*;

fn servers(address: &str, environment: &[(&str, &str)]) -> Vec<Server> {
    let find = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Server::of(address, find).unwrap_or_else(|error| panic!("{address}: {error}"))
}

fn places(address: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let servers = servers(address, environment);
    servers.iter().map(Server::place).map(|(host, port)| format!("{host}:{port}")).collect()
}

fn refused(address: &str) -> String {
    Server::of(address, |_| None).unwrap_err().to_string()
}

#[test]
fn either_form_with_one_host_or_several_means_what_libpq_means() {
    for (address, expected) in [
        ("postgres://ada@db.internal:6000/cards", &["db.internal:6000"][..]),
        ("postgresql://ada@db/cards", &["db:5432"]),
        ("postgres://a,b:6000/cards", &["a:5432", "b:6000"]),
        ("postgres://a:1,b:2/cards?target_session_attrs=read-write", &["a:1", "b:2"]),
        ("postgres://[::1]:6000,10.0.0.7/cards", &["::1:6000", "10.0.0.7:5432"]),
        ("postgres:///cards?host=/run/pg&port=6000", &["/run/pg:6000"]),
        ("postgres://%2Frun%2Fpg/cards", &["/run/pg:5432"]),
        ("host=a,b port=6000 dbname=cards", &["a:6000", "b:6000"]),
        ("host=a,b port=1,2 dbname='my cards' connect_timeout=3", &["a:1", "b:2"]),
        ("  host = db   user = ada password = 'a b\\'c' ", &["db:5432"]),
        ("host=db hostaddr=10.0.0.7 user=ada", &["10.0.0.7:5432"]),
    ] {
        assert_eq!(places(address, &[]), expected, "{address}");
    }
    let words = &servers("host=db user='my name' dbname=cards", &[])[0].options;
    assert_eq!((words.get_username(), words.get_database()), ("my name", Some("cards")));
    let uri = &servers("postgres://my%20name:p%2Bq@db/c%2Fd?sslmode=require", &[])[0].options;
    assert_eq!((uri.get_username(), uri.get_database()), ("my name", Some("c/d")));
}

#[test]
fn what_an_address_leaves_out_comes_from_the_environment_and_what_it_says_wins() {
    let environment = [("PGHOST", "db-a,db-b"), ("PGPORT", "6000")];
    assert_eq!(places("postgres:///cards", &environment), ["db-a:6000", "db-b:6000"]);
    assert_eq!(places("dbname=cards", &environment), ["db-a:6000", "db-b:6000"]);
    assert_eq!(places("postgres://other/cards", &environment), ["other:6000"]);
    assert_eq!(places("postgres://other:1/cards", &environment), ["other:1"]);
    assert_eq!(places("postgres:///cards", &[("PGHOST", ""), ("PGHOSTADDR", "10.0.0.7")]), ["10.0.0.7:5432"]);
}

#[test]
fn settings_for_the_session_are_read_wherever_they_are() {
    let read = |address: &str| servers(address, &[("PGOPTIONS", "-c work_mem=8MB")])[0].settings.clone();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = vec![pair("work_mem", "8MB"), pair("search_path", "a,b")];
    assert_eq!(read("postgres://db/cards?options=-csearch_path%3Da,b"), expected);
    assert_eq!(read("postgres://db/cards?options=-c%20search_path%3Da,b"), expected);
    assert_eq!(read("host=db options='--search-path=a,b'"), expected);
    assert_eq!(read("host=db options='-c search_path=a,\\\\ b'")[1], pair("search_path", "a, b"));
}

#[test]
fn what_can_not_be_used_says_why_and_shows_no_value() {
    for (address, why) in [
        ("hunter2", "neither postgres://"),
        ("mysql://hunter2@db", "neither postgres://"),
        ("postgres://db:hunter2/cards", "a port is a number"),
        ("postgres://u:hun%zzter2@db", "%25"),
        ("postgres://u:hun/ter2@db", "%2F"),
        ("postgres://a,b,c/x?port=1,2", "3 hosts and 2 ports"),
        ("postgres://db/x?target_session_attrs=standby", "names a standby"),
        ("postgres://db/x?channel_binding=require", "channel_binding is not supported"),
        ("postgres://db/x?service=hunter2", "service is not supported"),
        ("postgres://db/x?Hunter2=1", "(not shown)"),
        ("postgres://db/x?options=-d%205", "-c name=value"),
        ("host=db password='hunter2", "does not end"),
        ("postgres://db/x?sslmode=hunter2", "sslmode"),
    ] {
        let refused = refused(address);
        assert!(refused.contains(why), "{address}: {refused}");
        assert!(!refused.contains("unter2"), "{refused}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        for form in [text.clone(), format!("postgres://{text}"), format!("host={text}"), format!("host=a options={text}")] {
            let _ = Server::of(&form, |_| Some(text.clone()));
        }
    }

    #[test]
    fn names_of_any_letters_arrive(name in "[a-z]{1,4}[^\u{0}]{0,6}") {
        let quoted = name.replace('\\', "\\\\").replace('\'', "\\'");
        let servers = Server::of(&format!("host=h user='{quoted}'"), |_| None).unwrap();
        prop_assert_eq!(servers[0].options.get_username(), name);
    }
}
