"""Who is to be asked for a zone: by its delegation in the parent, its own NS records, and a list. Pure.

A look is a generator: it yields what it wants to know, all that can be asked at once, and is sent the answers
in that order, None for what nobody has answered. What is not known this time stays as it was: a resolver that
is down takes away no server.
"""

from collections import Counter
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import dns.flags
import dns.rcode
from dns.message import Message
from dns.name import Name, root
from dns.rdatatype import RdataType

from collectors.dns.records import (
    Addresses,
    Names,
    addresses_of,
    glue,
    ns_names,
    rrsets,
    says_delegated,
    signatures,
    zone_above,
)
from collectors.dns.wire import Question, is_address, parsed, shown

_A, _AAAA, _NS, _CNAME = RdataType.A, RdataType.AAAA, RdataType.NS, RdataType.CNAME
_MOST_NAMES, _MOST_ADDRESSES = 100, 16
_PARENTS = 6
"""How many addresses of the parent are asked, and of how many of its servers."""

Answers = list[Message | None]


class Wanted(NamedTuple):
    """A question, and the address of whom to ask; "" is a resolver."""

    question: Question
    address: str = ""


Asking = Generator[list[Wanted], Answers, "Found"]


@dataclass(frozen=True)
class Found:
    """The servers of a zone: their addresses by name, and who names them.

    `parent` and `own` are the names that the parent and the zone have, None if that was never told;
    `delegated` is whether the parent knows the zone. `signed` is when signatures begin and end by address,
    `told` what is odd, and `unresolved` the names of which nobody could say whether they have addresses.
    """

    servers: Mapping[str, Addresses] = field(default_factory=dict)
    parent: Names | None = None
    own: Names | None = None
    delegated: bool | None = None
    signed: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    unresolved: Names = frozenset()
    is_whole: bool = False


def look(zone: Name, before: Found, listed: Sequence[str], *, by_delegation: bool) -> Asking:
    """Look for the servers of a zone; `listed` are those that are known without looking."""
    return _Look(zone, before, listed, by_delegation=by_delegation).run()


class _Look:
    """One look, and what it has found by now."""

    def __init__(self, zone: Name, before: Found, listed: Sequence[str], *, by_delegation: bool) -> None:
        self._zone = zone
        self._before = before
        self._by_delegation = by_delegation
        self._literal = [each for each in listed if is_address(each)]
        self._named = [each for each in listed if not is_address(each)]
        self._told: list[str] = []
        self._untold: set[str] = set()
        self._unresolved: set[str] = set()
        self._aliases: set[str] = set()
        self._glue: dict[str, Addresses] = {}
        self._guessed: Names = frozenset()
        self._delegated: bool | None = None
        self._is_denied = False

    def run(self) -> Asking:
        parent = self._before.parent
        names = [*self._named]
        if self._by_delegation:
            parent = (yield from self._delegation()) or parent
            by_dns = (parent or frozenset()) | (self._before.own or self._guessed)
            names += sorted(by_dns) or [each for each in self._before.servers if not is_address(each)]
        servers = yield from self._addresses(names)
        heard = yield from self._from_servers({*self._literal, *_flat(servers)})
        own = self._own(heard) or self._before.own if self._by_delegation else None
        servers |= yield from self._addresses(sorted((own or frozenset()) - servers.keys()))
        if own:
            wanted = own | (parent or frozenset()) | {*self._named}
            servers = {name: found for name, found in servers.items() if name in wanted}
        servers |= {each: (each,) for each in self._literal if each not in _flat(servers)}
        return Found(
            servers,
            parent,
            own,
            self._delegated,
            {address: signed for address, told in heard.items() if (signed := self._signed(told))},
            (*self._told, *self._of_aliases()),
            frozenset(self._unresolved),
            not self._by_delegation or (self._delegated is not None and own is not None),
        )

    def _delegation(self) -> Generator[list[Wanted], Answers, Names | None]:
        """Ask the servers of the parent for the names that it has, None where they do not tell."""
        wanted = [Wanted(Question(self._zone, _NS, recursive=True))]
        if self._zone != root:
            wanted.append(Wanted(Question(self._zone.parent(), RdataType.SOA, recursive=True)))
        of_zone, *of_parent = yield wanted
        if of_zone:
            self._guessed = ns_names(self._zone, of_zone.answer) or frozenset()
            if of_zone.rcode() == dns.rcode.NXDOMAIN:  # which some resolvers say of what they are to hide
                self._tell("the resolver says that there is no such name")
                self._is_denied = True
        above = zone_above(self._zone, of_parent[0]) if of_parent and of_parent[0] else None
        if above is None:
            return None
        (of_above,) = yield [Wanted(Question(above, _NS, recursive=True))]
        hosts = sorted(ns_names(above, of_above.answer) or ())[:_PARENTS] if of_above else []
        found = yield from self._resolved(hosts, {})
        addresses = _spread([*found.values()])[:_PARENTS]
        answers = yield [Wanted(Question(self._zone, _NS), address) for address in addresses]
        return self._said([told for told in answers if told])

    def _said(self, answers: Sequence[Message]) -> Names | None:
        """Return what the servers of the parent name, all of them together."""
        said = [says_delegated(self._zone, told) for told in answers]
        if True not in said:
            self._delegated = False if False in said else None
            return None
        self._delegated = True
        names: Names = frozenset()
        for told, says in zip(answers, said, strict=True):
            names |= (ns_names(self._zone, told.authority) or frozenset()) if says else frozenset()
        for name in names:
            every = (each for told in answers for each in glue(parsed(name), told))
            self._glue[name] = tuple(dict.fromkeys(every))
        return names

    def _resolved(
        self, names: Collection[str], known: Mapping[str, Addresses]
    ) -> Generator[list[Wanted], Answers, dict[str, Addresses]]:
        """Ask for the addresses of names; those of a family that nobody tells stay as they were known.

        Names of which nobody could say whether they have addresses of a family are `_untold`.
        """
        asked = [(name, rdtype) for name in names for rdtype in (_A, _AAAA)]
        answers = yield [Wanted(Question(parsed(name), rdtype, recursive=True)) for name, rdtype in asked]
        found: dict[str, Addresses] = dict.fromkeys(names, ())
        self._untold.difference_update(names)
        for (name, rdtype), told in zip(asked, answers, strict=True):
            if told is None or not self._is_final(told):
                self._untold.add(name)
                of_family = (each for each in known.get(name, ()) if (":" in each) is (rdtype is _AAAA))
                found[name] += tuple(of_family)
                continue
            if any(rrsets(parsed(name), told.answer, _CNAME)):
                self._aliases.add(name)
            found[name] += addresses_of(parsed(name), told, rdtype)
        return found

    def _is_final(self, told: Message) -> bool:
        """Tell whether it is now known which addresses there are: those of a zone that is denied stay."""
        return told.rcode() == dns.rcode.NOERROR or (
            told.rcode() == dns.rcode.NXDOMAIN and not self._is_denied
        )

    def _addresses(self, names: Collection[str]) -> Generator[list[Wanted], Answers, dict[str, Addresses]]:
        """Find the addresses of servers, with those that the parent's glue has for them."""
        asked = list(dict.fromkeys(names))
        if len(asked) > _MOST_NAMES:
            self._tell(f"{len(asked)} servers are named; {_MOST_NAMES} of them are asked")
        found = yield from self._resolved(asked[:_MOST_NAMES], self._before.servers)
        servers: dict[str, Addresses] = {}
        for name, addresses in found.items():
            more = [each for each in self._glue.get(name, ()) if each not in addresses]
            if more and addresses and name not in self._untold:
                self._tell(f"the parent has {', '.join(more[:3])} for {name}, which is no address of it")
            every = (*addresses, *more)
            if name in self._untold and not addresses:
                self._unresolved.add(name)
                self._tell(f"no resolver can say which addresses {name} has")
            if len(every) > _MOST_ADDRESSES:
                self._tell(f"{name} has {len(every)} addresses; {_MOST_ADDRESSES} of them are asked")
            servers[name] = every[:_MOST_ADDRESSES]
        return servers

    def _from_servers(
        self, addresses: Collection[str]
    ) -> Generator[list[Wanted], Answers, dict[str, list[Message]]]:
        """Ask the servers themselves who they are, and for the signatures of their names and keys."""
        questions = [Question(self._zone, rdtype) for rdtype in (_NS, RdataType.DNSKEY)]  # written once each
        asked = [Wanted(each, address) for address in sorted(addresses) for each in questions]
        answers = yield asked
        heard: dict[str, list[Message]] = {}
        for wanted, told in zip(asked, answers, strict=True):
            if told and told.flags & dns.flags.AA:
                heard.setdefault(wanted.address, []).append(told)
        return heard

    def _own(self, heard: Mapping[str, Sequence[Message]]) -> Names | None:
        """Return the names that most servers of the zone have for it."""
        said = [ns_names(self._zone, told.answer) for each in heard.values() for told in each]
        names = Counter(each for each in said if each)
        if len(names) > 1:
            self._tell("its servers do not agree on who they are (NS)")
        return max(names, key=names.__getitem__, default=None)

    def _signed(self, heard: Sequence[Message]) -> tuple[tuple[int, int], ...]:
        return tuple(sorted({each for told in heard for each in signatures(self._zone, told)}))

    def _of_aliases(self) -> list[str]:
        where = shown(self._zone)
        return [
            f"{where}: its server {name} is an alias (CNAME), which no server may be (RFC 2181)"
            for name in sorted(self._aliases)
        ]

    def _tell(self, what: str) -> None:
        self._told.append(f"{shown(self._zone)}: {what}")


def _flat(servers: Mapping[str, Addresses]) -> set[str]:
    return {address for found in servers.values() for address in found}


def _spread(addresses: Sequence[Sequence[str]]) -> list[str]:
    """Return the first address of each, then the second of each, and so on, without repetition."""
    longest = max(map(len, addresses), default=0)
    ordered = [each[place] for place in range(longest) for each in addresses if place < len(each)]
    return list(dict.fromkeys(ordered))
