"""No address, however odd its numbers and words are, is a fault of the dashboard."""

import re

from dashboard import served

from scp.archive import Archive

# what a person or a scanner puts where a number or a UID belongs; as it is written in an address
ODD = (
    "-1", "2147483648", "9223372036854775808", 5000 * "9", "1e400", "nan", "%D9%A3", "%00", "%FF",
    "%2e%2e%2f", "",
)  # fmt: skip
ENDLESS = {"/events"}


def routes(app):
    """Return path, method and parameters of the query of every address."""
    routers = [route.original_router for route in app.routes if hasattr(route, "original_router")]
    for router in routers:
        for route in router.routes:
            for method in set(route.methods) - {"HEAD"}:
                query = {field.alias for field in _query(route.dependant)}
                yield method, route.path, query


def _query(dependant):
    yield from dependant.query_params
    for one in dependant.dependencies:
        yield from _query(one)


def addresses(path, query):
    """Return an address with each parameter odd in each way, the others plain."""
    names = re.findall(r"{(\w+)}", path)
    plain = re.sub(r"{\w+}", "1", path)
    for odd in ODD:
        for name in names:
            yield re.sub(r"{\w+}", "1", path.replace(f"{{{name}}}", odd))
        for name in query:
            rest = "".join(f"&{other}=1" for other in query - {name})
            yield f"{plain}?{name}={odd}{rest}"


def test_no_odd_number_or_word_in_an_address_is_a_fault(engine, tmp_path):
    with served(engine, Archive(tmp_path)) as dashboard:
        faults, asked = [], 0
        for method, path, query in routes(dashboard.app):
            for address in addresses(path, query) if path not in ENDLESS else ():
                answer = dashboard.browser.request(method, address)
                asked += 1
                if answer.status_code >= 500 and path != "/readyz":
                    faults.append((answer.status_code, method, address[:80]))
    assert faults == []
    assert asked > 200
