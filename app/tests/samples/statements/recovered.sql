-- They concern no captured table, which neither the filter nor Debezium can tell: the watchdog continues past them.
-- One script a line, each in a session of its own in the database helfy; ;; separates its statements, \n is a line feed.
CREATE TABLE t8 (id INT PRIMARY KEY, d VARCHAR(100) COMPRESSED, e TEXT COMPRESSED=zlib)
INSERT INTO t8 VALUES (1, REPEAT('a',90), REPEAT('b', 1000))
UPDATE t8 SET d = REPEAT('c', 80)
DELETE FROM t8
CREATE TABLE Users (id INT PRIMARY KEY, ip INET6)
USE other ;; CREATE TABLE record_gaps (id INT PRIMARY KEY, ip INET6)
USE other ;; CREATE OR REPLACE TABLE users (id INT PRIMARY KEY, ip INET6) WITH SYSTEM VERSIONING
USE other ;; SET SESSION system_versioning_alter_history = KEEP ;; ALTER TABLE users ADD COLUMN ip4 INET6
USE other ;; INSERT INTO users (id) VALUES (1)
USE other ;; TRUNCATE TABLE record_gaps
USE other ;; DROP TABLE users, record_gaps
