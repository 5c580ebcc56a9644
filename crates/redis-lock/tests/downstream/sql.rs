//! The count in a database, its fence checked in the transaction of the write.

/// The store and its tests, the same for each database; sqlx cannot express them once for all. Needs
/// `connect` and a `Place` of its own for each test.
macro_rules! sql_downstream {
    ($DB:ty) => {
        mod downstream;

        use downstream::{NAME, Stock};
        use redis_lock::sql::{Checked, Fenced, SqlFences};
        use redis_lock::{FenceStore, FencingToken, Redis, Verdict};
        use redis_patterns_testkit::harness::TestRedis;
        use redis_patterns_testkit::on_every_topology;

        struct Database {
            pool: Pool<$DB>,
            fences: SqlFences<$DB>,
        }

        /// Takes what only a passed check makes.
        async fn set(stock: &mut Fenced<'_, $DB>, count: i64) {
            sqlx::query("UPDATE stock SET count = $1").bind(count).execute(&mut **stock).await.unwrap();
        }

        impl FenceStore for Database {
            type Error = sqlx::Error;

            async fn seal(&self, resource: &str, fence: FencingToken) -> Result<Verdict, sqlx::Error> {
                self.fences.seal(resource, fence).await
            }
        }

        impl Stock for Database {
            async fn open(place: &str, _: &Redis) -> Self {
                let pool = connect(place).await;
                Self { fences: SqlFences::new(pool.clone()), pool }
            }

            async fn read(&self) -> i64 {
                let (count,) = sqlx::query_as("SELECT count FROM stock").fetch_one(&self.pool).await.unwrap();
                count
            }

            async fn write(&self, fence: FencingToken, count: i64) -> bool {
                let Checked::Admitted(mut transaction) = self.fences.begin(NAME, fence).await.unwrap() else {
                    return false;
                };
                set(&mut transaction, count).await;
                transaction.commit().await.unwrap();
                true
            }
        }

        /// The tables of a new, empty database.
        async fn prepare(place: &str) {
            let pool = connect(place).await;
            let fences = SqlFences::new(pool.clone());
            // Twice: it may be there already.
            fences.create_table().await.unwrap();
            fences.create_table().await.unwrap();
            for statement in ["CREATE TABLE stock (count BIGINT NOT NULL)", "INSERT INTO stock VALUES (0)"] {
                sqlx::query(statement).execute(&pool).await.unwrap();
            }
        }

        #[test]
        fn worker() {
            downstream::worker::<Database>();
        }

        on_every_topology! {
            async fn a_stopped_holder_is_refused(t: TestRedis) {
                let place = Place::new().await;
                downstream::a_stopped_holder_is_refused::<Database>(&t, place.url()).await;
            }

            async fn only_a_seal_stops_a_write_between_read_and_write(t: TestRedis) {
                let place = Place::new().await;
                downstream::only_a_seal_stops_a_write_between_read_and_write::<Database>(&t, place.url()).await;
            }

            async fn a_lock_whose_fence_was_lost_heals(t: TestRedis) {
                let place = Place::new().await;
                downstream::a_lock_whose_fence_was_lost_heals::<Database>(&t, place.url()).await;
            }

            async fn equal_fences_pass_and_the_highest_stays(t: TestRedis) {
                let place = Place::new().await;
                downstream::equal_fences_pass_and_the_highest_stays::<Database>(&t, place.url()).await;
            }

            /// Other resources, and a transaction that is not committed, leave no trace.
            async fn a_fence_counts_for_its_resource_and_with_its_commit(t: TestRedis) {
                let place = Place::new().await;
                let database = Database::open(place.url(), &t.redis).await;
                let fence = |number| FencingToken::new(number).unwrap();
                let begun = database.fences.begin("a", fence(9)).await.unwrap();
                begun.admitted().unwrap().rollback().await.unwrap();
                assert!(database.fences.seal("a", fence(3)).await.unwrap().is_admitted());
                assert!(database.fences.seal("b", fence(1)).await.unwrap().is_admitted());
                drop(database.fences.begin("a", fence(8)).await.unwrap().admitted().unwrap());
                assert_eq!(database.fences.seal("a", fence(2)).await.unwrap(), Verdict::Stale { highest: fence(3) });
            }
        }
    };
}
