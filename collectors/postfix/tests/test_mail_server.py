"""A real Postfix in every state of its queues, beside what its own tools say at the same moment."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from harness import until

from collectors.postfix import Postfix
from collectors.postfix.directories import Spool
from collectors.postfix.tests.nobody import as_nobody
from rscollector.api import Context, Misconfigured, Unavailable
from rscollector.testing import collect, values

pytestmark = [pytest.mark.needs("postfix", "root"), pytest.mark.timeout(180)]
QUEUES = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")


def told(mail, timeout=10.0):
    """Return what the collector tells of a mail server."""
    context = Context("main", timeout=timeout, interval=15, agent=os.getpid())
    return values(collect(Postfix, {"queue_directory": str(mail.queue)}, context=context))


def messages(found):
    """Return the number of messages by queue."""
    return {
        queue: found[f'postfix_queue_messages{{queue="{queue}"}}']
        for queue in QUEUES
        if f'postfix_queue_messages{{queue="{queue}"}}' in found
    }


@pytest.fixture
def full(mail):
    """Return a mail server with messages in every queue but incoming, and nothing moving."""
    mail.send(150, "down")
    mail.send(50, "hold")
    mail.send(40, "slow")
    until(
        lambda: mail.files("deferred") == 150 and mail.files("active") == 40 and not mail.files("incoming"),
        60,
    )
    return mail


def shape(mail, queue):
    """Return qshape's total line: all, and by age."""
    command = ["qshape", "-c", str(mail.config), queue]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    return [int(number) for number in re.search(r"TOTAL +(.*)", done.stdout)[1].split()]


def test_the_numbers_are_those_of_postfix_own_tools(full):
    """Messages, bytes and recipients as `postqueue -j` has them, ages as qshape sorts them."""
    found, listed = told(full), full.listed()
    assert {queue: count for queue, count in messages(found).items() if count} == {
        queue: len(each) for queue, each in listed.items()
    }
    for queue, each in listed.items():
        assert found[f'postfix_queue_bytes{{queue="{queue}"}}'] == sum(one["message_size"] for one in each)
        assert found[f'postfix_queue_recipients{{queue="{queue}"}}'] == sum(
            len(one["recipients"]) for one in each
        )
        oldest = time.time() - min(one["arrival_time"] for one in each)
        assert abs(found[f'postfix_queue_oldest_age_seconds{{queue="{queue}"}}'] - oldest) < 3
        total, *ages = shape(full, queue)
        buckets = [value for name, value in found.items() if f'queue="{queue}"' in name and "_bucket" in name]
        assert total == max(buckets)
        assert sum(ages) == total


def test_who_may_not_read_the_directories_is_told_the_same_by_showq(full):
    """The group postdrop is enough, and without it the sentence says so."""
    import grp

    postdrop = grp.getgrnam("postdrop").gr_gid
    by_showq = as_nobody([postdrop], lambda: messages(told(full)))
    assert by_showq == {"incoming": 0, "active": 40, "deferred": 150, "hold": 50}
    refused = as_nobody([], lambda: told(full))
    assert "this user may not ask showq: it needs to be in the group postdrop" in str(refused)
    assert isinstance(refused, Misconfigured)


def test_thousands_in_every_queue_are_the_files_that_are_there(mail):
    """None is missed, none is counted twice, and what moves is where it has come to."""
    mail.send(100, "hold")
    mail.send(200, "slow")
    mail.send(200, "down")
    until(lambda: (mail.files("deferred"), mail.files("incoming")) == (200, 0), 60)
    mail.stop()
    mail.drop(4)
    for path in found_in(mail, "deferred")[:100]:
        path.rename(mail.queue / "corrupt" / path.name)
    for path in found_in(mail, "active")[:100]:  # which is what Postfix does with them when it starts
        path.rename(mail.queue / "incoming" / path.name)
    for queue in QUEUES:
        multiply(found_in(mail, queue), 1000)
    found = messages(told(mail))
    assert found == {queue: mail.files(queue) for queue in QUEUES}
    assert found == dict.fromkeys(QUEUES, 1000)


def found_in(mail, queue):
    """Return the messages in a queue."""
    return [path for path in (mail.queue / queue).rglob("*") if path.is_file()]


def multiply(paths, count):
    """Copy messages until there are so many: to receive them would take its time."""
    for path, number in zip(itertools.cycle(paths), range(count - len(paths)), strict=False):
        shutil.copy2(path, path.with_name(f"{path.name}{number:X}"))


def test_a_log_that_only_its_group_may_read_names_the_group(mail):
    """The queues are told, since showq is open to this user."""
    import grp

    log = mail.root / "maillog"
    until(log.exists, 10)  # postlogd makes it with the first line
    log.chmod(0o640)
    settings = {"queue_directory": str(mail.queue), "log": str(log)}
    context = Context("main", timeout=10, interval=15, agent=os.getpid())

    def ask():
        return values(collect(Postfix, settings, context=context)), context.notes

    found, notes = as_nobody([grp.getgrnam("postdrop").gr_gid], ask)
    assert found["postfix_log_readable"] == 0
    assert found['postfix_queue_messages{queue="deferred"}'] == 0
    assert (
        f"{log}: this user may not read it: it needs to be in its group, which on Debian is adm" in notes[-1]
    )


def test_what_is_held_and_released_changes_its_queue(full):
    """Nothing is lost on the way."""
    full.postsuper("-h", "ALL", "deferred")
    assert (messages(told(full))["hold"], messages(told(full))["deferred"]) == (200, 0)
    full.postsuper("-d", "ALL")
    until(lambda: sum(messages(told(full)).values()) == 0)


def test_a_stopped_postfix_still_has_its_queues(full):
    """Who may read the directories sees what waits, and what is submitted meanwhile; showq is not there."""
    full.stop()
    full.drop(3)
    found = messages(told(full))
    assert (found["maildrop"], found["deferred"], found["hold"]) == (3, 150, 50)
    import grp

    answer = as_nobody([grp.getgrnam("postdrop").gr_gid], lambda: told(full))
    assert isinstance(answer, Unavailable)
    assert "nobody answers: Postfix is stopped" in str(answer)
    full.start()
    until(lambda: messages(told(full))["maildrop"] == 0)


def test_mail_that_is_written_for_long_is_counted_when_it_is_there(mail):
    """Who holds sendmail's pipe open ends with a change of the file's rights, which the directory does not tell."""
    mail.stop()
    maildrop, spool = mail.queue / "maildrop", Spool(mail.queue)
    command = ["sendmail", "-C", str(mail.config), "-f", "a@test.invalid", "u@down.test.invalid"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as sending:
        sending.stdin.write(b"Subject: x\n\nfirst\n")
        sending.stdin.flush()
        until(lambda: mail.files("maildrop") == 1)
        past = time.time() - 60
        os.utime(maildrop, (past, past))  # instead of waiting
        assert spool.tally("maildrop", time.time(), lambda: False).messages == 0
    assert sending.returncode == 0
    assert maildrop.stat().st_mtime == pytest.approx(past)
    assert spool.tally("maildrop", time.time(), lambda: False).messages == 1


def test_a_showq_that_does_not_answer_is_given_up_in_time(full):
    """The socket accepts in the kernel, and nobody reads it."""
    import grp

    os.kill(full.process.pid, signal.SIGSTOP)
    for pid in full._children():
        os.kill(pid, signal.SIGSTOP)
    answer = as_nobody([grp.getgrnam("postdrop").gr_gid], lambda: told(full, 1.0))
    assert isinstance(answer, Unavailable)
    assert "showq does not answer" in str(answer)


def test_a_postfix_stopped_by_a_signal_costs_the_queues_and_not_the_flow(full):
    """What was asked, what did not come and what to do is said in time, and what was logged is counted."""
    import grp

    log = full.root / "maillog"
    log.chmod(0o644)
    for pid in (full.process.pid, *full._children()):
        os.kill(pid, signal.SIGSTOP)
    context = Context("main", timeout=2.0, interval=15, agent=os.getpid())

    def ask():
        found = collect(Postfix, {"queue_directory": str(full.queue), "log": str(log)}, context=context)
        return values(found), context.notes, str(context.degradation), context.remaining()

    found, notes, trouble, remaining = as_nobody([grp.getgrnam("postdrop").gr_gid], ask)
    assert remaining > 0
    assert found["postfix_log_readable"] == 1
    assert not messages(found)
    assert f"missing: the queues: {trouble}" in notes
    assert "was asked for the queues, and it has said nothing for 0." in trouble
    assert "kill -CONT it, or restart Postfix" in trouble


def test_counting_while_mail_moves_is_no_error(mail):
    """Messages come, are tried and deferred while they are counted: never too few at the end, never a failure."""
    sending = subprocess.Popen(
        ["smtp-source", "-s", "10", "-m", "600", "-f", "a@test.invalid", "-t", "u@down.test.invalid",
         f"127.0.0.1:{mail.port}"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    while sending.poll() is None:
        # What goes from one directory to the next between their readings is seen in both.
        assert sum(messages(told(mail)).values()) <= 600 + 200
    assert sending.returncode == 0
    until(lambda: messages(told(mail))["deferred"] == 600, 60)


def test_two_instances_are_told_apart(mail_servers):
    """Each has its queue directory, and its own numbers."""
    first, second = mail_servers(), mail_servers("hash_queue_names = defer\nenable_long_queue_ids = yes\n")
    first.send(30, "hold")
    second.send(70, "hold")
    assert (messages(told(first))["hold"], messages(told(second))["hold"]) == (30, 70)
    second.send(200, "down")
    until(lambda: messages(told(second))["deferred"] == 200, 60)
