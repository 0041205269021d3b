"""SQLite on the file system it is given: write-ahead log, locks between connections, recovery."""

import os
import shutil
import sqlite3
import tempfile
import threading
import unittest


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "a.db")

    def open(self, path=None, **options):
        options.setdefault("timeout", 0.1)
        connection = sqlite3.connect(path or self.path, isolation_level=None, **options)
        self.addCleanup(connection.close)
        return connection

    def filled(self, journal, rows=1000):
        connection = self.open()
        self.assertEqual(
            connection.execute(f"PRAGMA journal_mode={journal}").fetchone()[0], journal
        )
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO t(v) VALUES(?)", ((f"row {n}" * 9,) for n in range(rows))
        )
        connection.execute("COMMIT")
        return connection

    def count(self, connection):
        return connection.execute("SELECT count(*) FROM t").fetchone()[0]

    def copied(self):
        """The folder as a crash would leave it, under another name."""
        other = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, other)
        for name in os.listdir(self.folder):
            if not name.endswith("-shm"):
                shutil.copy(os.path.join(self.folder, name), other)
        return os.path.join(other, "a.db")


class WalTests(Case):
    def test_reader_keeps_its_snapshot(self):
        writer, reader = self.filled("wal"), self.open()
        reader.execute("BEGIN")
        self.assertEqual(self.count(reader), 1000)
        writer.execute("DELETE FROM t WHERE id <= 500")
        self.assertEqual(self.count(reader), 1000)
        reader.execute("COMMIT")
        self.assertEqual(self.count(reader), 500)

    def test_shared_memory_is_there(self):
        self.filled("wal")
        self.assertGreater(os.stat(f"{self.path}-shm").st_size, 0)
        self.assertGreater(os.stat(f"{self.path}-wal").st_size, 0)

    def test_second_writer_is_refused(self):
        first, second = self.filled("wal"), self.open()
        first.execute("BEGIN IMMEDIATE")
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            second.execute("BEGIN IMMEDIATE")
        first.execute("COMMIT")
        second.execute("BEGIN IMMEDIATE")
        second.execute("COMMIT")

    def test_checkpoint_empties_the_log(self):
        connection = self.filled("wal")
        busy, pages, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self.assertEqual((busy, pages, moved), (0, 0, 0))
        self.assertEqual(os.stat(f"{self.path}-wal").st_size, 0)
        self.assertEqual(self.count(self.open(f"file:{self.path}?immutable=1", uri=True)), 1000)

    def test_last_connection_removes_log_and_shared_memory(self):
        self.filled("wal").close()
        self.assertEqual(os.listdir(self.folder), ["a.db"])

    def test_recovery_of_committed_rows(self):
        connection = self.filled("wal", rows=10)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO t(v) VALUES('in the log only')")
        after = self.open(self.copied())
        self.assertEqual(self.count(after), 11)
        self.assertEqual(after.execute("PRAGMA integrity_check").fetchone()[0], "ok")

    def test_recovery_stops_at_a_damaged_frame(self):
        connection = self.filled("wal", rows=10)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO t(v) VALUES('one')")
        intact = os.stat(f"{self.path}-wal").st_size
        connection.execute("INSERT INTO t(v) VALUES('two')")
        path = self.copied()
        with open(f"{path}-wal", "r+b") as log:
            log.seek(intact + 40)
            log.write(b"\xff" * 16)
        self.assertEqual(self.count(self.open(path)), 11)

    def test_threads_write_and_read(self):
        self.filled("wal", rows=0)
        wrong = []

        def work(number):
            try:
                connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
                for turn in range(20):
                    connection.execute("INSERT INTO t(v) VALUES(?)", (f"{number} {turn}",))
                    connection.execute("SELECT count(*) FROM t").fetchone()
                connection.close()
            except sqlite3.Error as problem:
                wrong.append(problem)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(self.count(self.open()), 80)


class JournalTests(Case):
    def test_rolled_back_after_a_crash(self):
        """A hot journal: the database has half of a transaction."""
        connection = self.filled("delete")
        connection.execute("PRAGMA cache_spill=1")
        connection.execute("PRAGMA cache_size=5")
        connection.execute("BEGIN")
        connection.execute("UPDATE t SET v = 'changed ' || hex(randomblob(200))")
        self.assertTrue(os.path.exists(f"{self.path}-journal"))
        path = self.copied()
        # Nobody holds a lock on the copy, so the next to open it rolls back.
        after = self.open(path)
        found = after.execute("SELECT count(*) FROM t WHERE v LIKE 'changed%'").fetchone()[0]
        self.assertEqual(found, 0)
        self.assertEqual(after.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        self.assertFalse(os.path.exists(f"{path}-journal"))
        connection.execute("ROLLBACK")

    def test_reader_holds_off_the_writers_commit(self):
        writer, reader = self.filled("delete"), self.open()
        reader.execute("BEGIN")
        self.count(reader)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM t")
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            writer.execute("COMMIT")
        reader.execute("COMMIT")
        writer.execute("COMMIT")
        self.assertEqual(self.count(reader), 0)

    def test_exclusive_lock_holds_off_readers(self):
        writer, reader = self.filled("delete"), self.open()
        writer.execute("BEGIN EXCLUSIVE")
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            self.count(reader)
        writer.execute("COMMIT")
        self.assertEqual(self.count(reader), 1000)

    def test_waits_for_a_lock(self):
        writer, waiting = self.filled("delete"), self.open(timeout=60, check_same_thread=False)
        writer.execute("BEGIN EXCLUSIVE")
        ends = []
        thread = threading.Thread(target=lambda: ends.append(self.count(waiting)))
        thread.start()
        writer.execute("DELETE FROM t WHERE id > 100")
        writer.execute("COMMIT")
        thread.join()
        self.assertEqual(ends, [100])

    def test_each_journal_mode(self):
        for mode in ("delete", "truncate", "persist", "memory", "wal"):
            with self.subTest(mode=mode):
                connection = self.open(os.path.join(self.folder, mode))
                connection.execute(f"PRAGMA journal_mode={mode}")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("CREATE TABLE t(v)")
                connection.execute("INSERT INTO t VALUES(1)")
                self.assertEqual(self.count(self.open(os.path.join(self.folder, mode))), 1)

    def test_mapped_reads(self):
        connection = self.filled("delete")
        connection.execute("PRAGMA mmap_size=1000000")
        self.assertEqual(self.count(connection), 1000)
        connection.execute("INSERT INTO t(v) VALUES('more')")
        self.assertEqual(self.count(connection), 1001)

    def test_vacuum_shrinks_the_file(self):
        connection = self.filled("delete")
        size = os.stat(self.path).st_size
        connection.execute("DELETE FROM t")
        connection.execute("VACUUM")
        self.assertLess(os.stat(self.path).st_size, size)

    def test_backup(self):
        target = self.open(os.path.join(self.folder, "b.db"))
        self.filled("delete").backup(target)
        self.assertEqual(self.count(target), 1000)
