-- They name a captured table and change none of its columns.
-- One script a line, each in a session of its own in the database helfy; ;; separates its statements, \n is a line feed.
ANALYZE TABLE users PERSISTENT FOR ALL
ANALYZE LOCAL TABLE users
ANALYZE TABLE users, sessions PERSISTENT FOR COLUMNS (id, username) INDEXES (PRIMARY)
OPTIMIZE TABLE users
OPTIMIZE TABLE users WAIT 1
REPAIR TABLE users
CHECK TABLE users MEDIUM
CREATE INDEX h1 ON users (created_at)
CREATE INDEX IF NOT EXISTS h2 ON users (created_at DESC, role) IGNORED
CREATE OR REPLACE INDEX h2 ON users (created_at) WAIT 5 NOT IGNORED
CREATE OR REPLACE INDEX h2 ON helfy.users (created_at) USING BTREE COMMENT 'x' ALGORITHM=INPLACE LOCK=NONE
CREATE FULLTEXT INDEX h3 ON users (username)
CREATE UNIQUE INDEX h4 ON users (id, role)
DROP INDEX IF EXISTS h2 ON users
DROP INDEX h3 ON users NOWAIT
DROP INDEX h4 ON helfy.users
DROP INDEX h1 ON users
GRANT SELECT ON helfy.users TO helfy_capture@'127.0.0.1'
LOCK TABLES users WRITE CONCURRENT, sessions READ ;; UNLOCK TABLES
FLUSH TABLES users WITH READ LOCK ;; UNLOCK TABLES
FLUSH TABLES users
CACHE INDEX users IN DEFAULT
DROP TRIGGER IF EXISTS h5
/*!40000 ALTER TABLE `users` DISABLE KEYS */
/*!40000 ALTER TABLE `users` ENABLE KEYS */
LOCK TABLES `users` WRITE ;; UNLOCK TABLES
