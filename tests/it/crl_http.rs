//! How lists are served (C22): from files that were built beforehand, whole or in part, to clients of every age.

use tokio::io::AsyncReadExt;
use vitae::clock::Clock;
use vitae::ids::{Digest, Reason};

use crate::support::bulk::Bulk;
use crate::support::wire::{Ask, connect};
use crate::support::{DAY, HOUR, House};

/// A house with a list of `count` entries; one of 2000 takes 80 kB and is served from its file.
async fn house(count: usize) -> (House, Bulk) {
    let (house, bulk) =
        Bulk::house(|policy| policy.replace("hierarchy.toml", "crl-shards = 8", "crl-shards = 1")).await;
    let serials = bulk.issue(&house.clock, count, house.clock.now() + 9 * DAY, 1).await;
    bulk.revoke(&house.clock, &serials, Reason::Superseded).await;
    house.authority.upkeep().await.unwrap();
    (house, bulk)
}

const PATH: &str = "/crl/operational/0.crl";

/// C22: ETag, Last-Modified, Expires and max-age, 304 by tag and by date, ranges, HEAD; of a list in memory and of one in a file.
#[tokio::test]
async fn a_list_is_served_as_caches_and_resumed_downloads_need_it() {
    for count in [1, 2500] {
        let (house, _) = house(count).await;
        let whole = house.status_door(&Ask::get(PATH)).await;
        assert_eq!(whole.status, 200);
        assert!((whole.body.len() > 65_536) == (count > 1));
        let header = |name| whole.header(name).unwrap().to_owned();
        assert_eq!(header("content-type"), "application/pkix-crl");
        assert_eq!(header("content-length"), whole.body.len().to_string());
        assert_eq!(header("etag"), format!("\"{}\"", Digest::of(&whole.body)));
        assert_eq!(header("accept-ranges"), "bytes");
        let list = house.shard("operational", 0).await;
        let max_age = header("cache-control");
        let max_age: u64 =
            max_age.strip_prefix("max-age=").unwrap().split(',').next().unwrap().parse().unwrap();
        assert!(max_age <= list.next_update.since(house.clock.now()).as_secs());
        assert!(header("last-modified").ends_with(" GMT") && header("expires").ends_with(" GMT"));

        for (name, value) in
            [("If-None-Match", header("etag")), ("If-Modified-Since", header("last-modified"))]
        {
            let known = house.status_door(&Ask::get(PATH).header(name, &value)).await;
            assert_eq!((known.status, known.body.len()), (304, 0), "{name}");
            assert_eq!(known.header("etag"), Some(&*header("etag")));
        }
        let length = whole.body.len();
        for (range, begin, end) in [
            ("bytes=0-99".to_owned(), 0, 100),
            ("bytes=100-".to_owned(), 100, length),
            ("bytes=-7".to_owned(), length - 7, length),
            (format!("bytes=5-{}", length * 2), 5, length),
        ] {
            let part = house.status_door(&Ask::get(PATH).header("Range", &range)).await;
            assert_eq!(part.status, 206, "{range}");
            assert_eq!(part.header("content-range"), Some(&*format!("bytes {begin}-{}/{length}", end - 1)));
            assert!(part.body == whole.body[begin..end], "{range}");
        }
        let beyond = house.status_door(&Ask::get(PATH).header("Range", &format!("bytes={length}-"))).await;
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), Some(&*format!("bytes */{length}")));
        let other = Ask::get(PATH).header("Range", "bytes=5-9").header("If-Range", "\"another\"");
        let other = house.status_door(&other).await;
        assert_eq!((other.status, other.body.len()), (200, length));
        let head = house.status_door(&Ask::new("HEAD", PATH)).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some(&*length.to_string())));
    }
}

/// C22: a client that speaks HTTP/1.0 gets the whole list and the end of the connection.
#[tokio::test]
async fn a_client_of_1996_gets_a_long_list() {
    let (house, _) = house(2500).await;
    let mut wire = connect(house.addresses.status).await.unwrap();
    wire.send(format!("GET {PATH} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let reply = wire.reply().await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.body == house.status_door(&Ask::get(PATH)).await.body);
    assert!(wire.is_closed().await);
}

/// C22: whoever has begun to read a list reads that list to its end, though another was published meanwhile.
#[tokio::test]
async fn a_list_that_is_replaced_is_read_to_its_end() {
    let (house, bulk) = house(60_000).await;
    let before = house.status_door(&Ask::get(PATH)).await.body;
    assert!(before.len() > 2_000_000);
    let mut wire = connect(house.addresses.status).await.unwrap();
    wire.send(&Ask::get(PATH).header("Connection", "close").bytes()).await.unwrap();
    let mut got = vec![0; 1000];
    wire.stream.read_exact(&mut got).await.unwrap();

    let serials = bulk.issue(&house.clock, 1, house.clock.now() + HOUR, 1).await;
    bulk.revoke(&house.clock, &serials, Reason::Superseded).await;
    house.authority.upkeep().await.unwrap();
    let after = house.status_door(&Ask::get(PATH)).await;
    assert!(after.body != before);

    wire.stream.read_to_end(&mut got).await.unwrap();
    assert!(got.ends_with(&before), "torn");
    // What another client has cached of the old list is not continued with the new one.
    let etag = format!("\"{}\"", Digest::of(&before));
    let resumed = Ask::get(PATH).header("Range", "bytes=1000-").header("If-Range", &etag);
    let resumed = house.status_door(&resumed).await;
    assert!(resumed.status == 200 && resumed.body == after.body);
}
