"""Snowplow's events with the entities of its ecommerce plugin: rows of a warehouse, JSON of an Analytics SDK, or the enriched
TSV.

https://docs.snowplow.io/docs/events/ootb-data/ecommerce-events and https://docs.snowplow.io/docs/pipeline/enriched-tsv-format
"""

from operators.adapters.event_names import RETURN, EventNames
from operators.adapters.fields import Record, filled, first, part, parts
from operators.adapters.order_lines import about
from operators.errors import BadRecord

KNOWN = {
    "product_view": "view",
    "list_click": "click",
    "list_view": "impression",
    "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "transaction": "purchase",
    "refund": RETURN,
    "transaction_item": "purchase",  # of the trackers before the plugin
}
_COLUMNS = (  # of the enriched TSV, which has no header
    "app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id name_tracker v_tracker v_collector"
    " v_etl user_id user_ipaddress user_fingerprint domain_userid domain_sessionidx network_userid geo_country geo_region"
    " geo_city geo_zipcode geo_latitude geo_longitude geo_region_name ip_isp ip_organization ip_domain ip_netspeed page_url"
    " page_title page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery page_urlfragment"
    " refr_urlscheme refr_urlhost refr_urlport refr_urlpath refr_urlquery refr_urlfragment refr_medium refr_source refr_term"
    " mkt_medium mkt_source mkt_term mkt_content mkt_campaign contexts se_category se_action se_label se_property se_value"
    " unstruct_event tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country ti_orderid ti_sku"
    " ti_name ti_category ti_price ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min pp_yoffset_max useragent br_name"
    " br_family br_version br_type br_renderengine br_lang br_features_pdf br_features_flash br_features_java"
    " br_features_director br_features_quicktime br_features_realplayer br_features_windowsmedia br_features_gears"
    " br_features_silverlight br_cookies br_colordepth br_viewwidth br_viewheight os_name os_family os_manufacturer"
    " os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight doc_charset doc_width doc_height tr_currency"
    " tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base base_currency geo_timezone mkt_clickid mkt_network"
    " etl_tags dvce_sent_tstamp refr_domain_userid refr_dvce_tstamp derived_contexts domain_sessionid derived_tstamp"
    " event_vendor event_name event_format event_version event_fingerprint true_tstamp"
)
ENRICHED = tuple(_COLUMNS.split())
_VENDOR = "com_snowplowanalytics_snowplow_"
_SHOP = f"{_VENDOR}ecommerce_"
_ACTION = f"unstruct_event_{_SHOP}snowplow_ecommerce_action_1"


def looks(record: Record) -> bool:
    """Whether a record is an event of Snowplow's canonical model."""
    return "collector_tstamp" in record or {"event_vendor", "derived_tstamp"} <= record.keys()


def events(record: Record, names: EventNames) -> list[Record]:
    """An event by its ecommerce action, or by `event_name` where it is none."""
    if first(record, "unstruct_event", "contexts"):
        record = record | _unpacked(record)
    action = (_entities(record, _ACTION) or [{}])[0]
    name = first(action, "type") or _classic(record)
    if not isinstance(name, str):
        raise BadRecord("missing_field", "an ecommerce action, or event_name", repr(name)[:200])
    if not (kind := names.of(name, KNOWN)):
        return []
    base = _base(record)
    if name in ("list_view", "list_click"):
        base |= filled(placement=first(action, "name"))
    if not action:
        return about(kind, base, [_classic_line(record)])
    lines = _entities(record, f"contexts_{_SHOP}product_1")
    if kind == "impression" and all(str(first(line, "position")).isdecimal() for line in lines):
        lines = sorted(lines, key=lambda line: int(line["position"]))
    return about(kind, base, [_line(line) for line in lines])


def _classic(record: Record) -> object:
    """The name of an event that is no ecommerce action. The order of the old trackers has its lines in other events."""
    name = first(record, "event_name", "event")
    return "transaction of an old tracker" if name == "transaction" else name


def _base(record: Record) -> Record:
    session = (_entities(record, f"contexts_{_VENDOR}client_session_1") or [{}])[0]
    account = first(record, "user_id") or first((_entities(record, f"contexts_{_SHOP}user_1") or [{}])[0], "id")
    device = first(record, "domain_userid") or first(session, "userId") or first(record, "network_userid")
    return filled(
        event_id=first(record, "event_id"),
        event_time=first(record, "true_tstamp", "derived_tstamp", "collector_tstamp"),
        user_id=account or device,
        anonymous_id=device if account else None,
        session_id=first(record, "domain_sessionid") or first(session, "sessionId"),
    )


def _line(product: Record) -> Record:
    return filled(
        item_id=first(product, "id"),
        price=first(product, "price"),
        quantity=first(product, "quantity"),
        currency=first(product, "currency"),
    )


def _classic_line(record: Record) -> Record:
    return filled(
        item_id=first(record, "ti_sku"),
        price=first(record, "ti_price"),
        quantity=first(record, "ti_quantity"),
        currency=first(record, "ti_currency", "tr_currency"),
    )


def _entities(record: Record, prefix: str) -> list[Record]:
    """The entities of a schema's first version: in the column `…_1` or, by minor version, `…_1_0_0`."""
    names = [name for name in record if name.startswith(prefix) and name[len(prefix) :][:1] in ("", "_")]
    return [entity for name in names for entity in parts(record, name)]


def _unpacked(record: Record) -> Record:
    """The self-describing JSON of the enriched TSV, named as an Analytics SDK names it."""
    unpacked: Record = {}
    if event := part(part(record, "unstruct_event"), "data"):
        unpacked["unstruct_event_" + _column(event)] = part(event, "data")
    for column in ("contexts", "derived_contexts"):
        for entity in parts(part(record, column), "data"):
            unpacked.setdefault("contexts_" + _column(entity), []).append(part(entity, "data"))
    return unpacked


def _column(entity: Record) -> str:
    """`iglu:com.acme/link_click/jsonschema/1-0-0` -> `com_acme_link_click_1`."""
    vendor, name, *_, version = [*str(entity.get("schema")).removeprefix("iglu:").split("/"), "", ""][:4]
    return f"{vendor}_{name}_{version.split('-')[0]}".replace(".", "_").lower()
