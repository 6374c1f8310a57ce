"""What to do after a refusal that says only what is the matter.

Where the facts of a case say more, whoever refuses says it (`CloudError(remedy=...)`).
"""

from __future__ import annotations

from typing import Self


class Remedy(str):
    """What to do, for a caller of the API; `on_page` says it to somebody with pages before them.

    Each is written beside the other, where they differ at all.
    """

    __slots__ = ("on_page",)

    on_page: str

    def __new__(cls, called: str, on_page: str | None = None) -> Self:
        made = super().__new__(cls, called)
        made.on_page = called if on_page is None else on_page
        return made


def on_page(remedy: str | None) -> str:
    """A remedy for somebody with pages before them."""
    return remedy.on_page if isinstance(remedy, Remedy) else remedy or ""


def both(*parts: str) -> Remedy:
    """One after the other."""
    return Remedy(" ".join(parts), " ".join(filter(None, map(on_page, parts))))


def by(action: str, what: str) -> Remedy:
    """What an action does for a caller, and a button of the page that one is on."""
    return Remedy(f"{what} ({action}).", f"{what}.")


def _lists(action: str, page: str, what: str) -> Remedy:
    """Where something is listed."""
    return Remedy(f"{action} lists {what}.", f"{page} lists {what}.")


_WAIT = "Wait until it is done, and try again."
_MOMENT = "Write it in UTC like 2026-01-31T12:00:00Z; the machine's clock has to be right."
_BLOCK = "Write it like 10.10.0.0/16, with no bit set after the first 16."
_CHOOSE = "Choose one of the list."
_USERS = _lists("ListConsoleUsers", "Account, Users", "the account's users")
_KEYS = Remedy(
    "ListAccessKeys lists the account's keys, CreateAccessKey makes one.",
    "The page Account lists the account's keys, Create AccessKey makes one.",
)
_CENS = _lists("DescribeCens", "The page CEN", "the account's CENs")
_ROUTERS = Remedy(
    "ListTransitRouters lists those of a CEN.", "The CEN instance's page lists its own."
)
_PLANS = _lists(
    "DescribeCenBandwidthPackages", "The CEN instance's tab Bandwidth Plans", "the account's plans"
)
_REGIONS = Remedy("DescribeRegions lists the regions, like cn-hangzhou.", _CHOOSE)
_ZONES = Remedy("DescribeZones lists the zones of a region, like cn-hangzhou-h.", _CHOOSE)
_VSWITCHES = Remedy(
    "DescribeVSwitches lists those of a VPC, ListGrantVSwitchesToCen those of a VPC that another"
    " account granted.",
    "Choose one of the VPC's own.",
)
_ATTACHMENTS = Remedy(
    "ListTransitRouterVpcAttachments and ListTransitRouterPeerAttachments list them.",
    "The CEN instance's page lists them.",
)
_TABLES = Remedy("ListTransitRouterRouteTables lists those of a transit router.", "")
_INSTANCES = Remedy(
    "DescribeDBInstances lists the account's instances in a region, ListDBInstances in all.",
    "The page RDS instances lists the account's instances.",
)
_INSTANCE = Remedy(
    "DescribeDBInstanceAttribute shows its DBInstanceStatus; most changes take Running.",
    "Most changes take the status Running, which the instance's page shows.",
)
_ACCOUNTS = Remedy(
    "DescribeAccounts lists those of an instance.", "The instance's tab Accounts lists them."
)
_OFFER = Remedy("DescribeOffer lists what there is.", "Create Instance offers what there is.")
_MIGRATIONS = Remedy(
    "DescribeCloudMigrationPrecheckResult and DescribeCloudMigrationResult list those of an"
    " instance.",
    "The instance's tab Cloud Migration/DR Construction lists them.",
)
_VPCS = Remedy(
    "DescribeVpcs lists the account's VPCs in a region, ListVpcs in all.",
    "The page VPCs lists the account's VPCs.",
)
_WHITELIST = "Write addresses and blocks with commas between, like 10.10.1.7,10.20.0.0/16."
_UNNEEDED = "Delete one that is not needed"

#: Code -> what to do.
REMEDIES: dict[str, str] = {
    "InvalidAction.NotFound": Remedy("docs/coverage.md lists the actions of each version.", ""),
    "InvalidVersion": Remedy("docs/coverage.md lists the versions and their actions.", ""),
    "UnsupportedHTTPMethod": "Call with GET or POST.",
    "InvalidAccessKeyId.NotFound": both("Is it this service's and spelled right?", _KEYS,
                                           "Who has none asks the operator."),
    "InvalidAccessKeyId.Inactive": both("Use another key.", _KEYS),
    "InvalidSecurityToken.MismatchWithAccessKey": "Leave SecurityToken out: this service gives no"
    " temporary keys.",
    "IncompleteSignature": "Sign as the vendor's SDKs do: ACS3-HMAC-SHA256, or HMAC-SHA1 with"
    " SignatureVersion 1.0.",
    "SignatureDoesNotMatch": "Is the secret that of the key? Was anything changed after signing?",
    "SignatureNonceUsed": "Sign each call anew, with a nonce of its own.",
    "IllegalTimestamp": _MOMENT,
    "InvalidTimeStamp.Expired": _MOMENT,
    "Throttling.User": "Wait a second before the next try, longer each time.",
    "IdempotentParameterMismatch": "Take a new ClientToken for another call.",
    "Forbidden.RAM": "Ask somebody whose account may.",
    "InternalError": Remedy("Try again; tell the operator the RequestId if it stays.",
                            "Try again; tell the operator if it stays."),
    "ServiceUnavailable": "Try again in a moment.",
    "InvalidRegionId.NotFound": _REGIONS,
    "IllegalParam.RegionId": _REGIONS,
    "IllegalParam.PeerRegionId": _REGIONS,
    "InvalidZoneId.NotFound": _ZONES,
    "IllegalParam.ZoneId": _ZONES,
    "IllegalParam.ZoneMappings": "Name each zone with a vSwitch in it:"
    " ZoneMappings.1.ZoneId=cn-hangzhou-h, ZoneMappings.1.VSwitchId=vsw-...",
    "Duplicated.ZoneMapping": "Name each zone once.",
    "InvalidVpcId.NotFound": both(_VPCS, "Another account's has to be granted by its owner."),
    "InvalidVSwitchId.NotFound": _VSWITCHES,
    "IllegalParam.VSwitchId": _VSWITCHES,
    "InsufficientIpAddr.vsw": Remedy("Take another vSwitch (CreateVSwitch makes one).",
                                   "Take another vSwitch."),
    "InvalidRouteTableId.NotFound": Remedy("DescribeRouteTableList lists those of a VPC.",
                                             "The VPC's tab Route Table shows it."),
    "InvalidCidrBlock.Malformed": _BLOCK,
    "InvalidCidrBlock.Overlapped": Remedy(
        "Take a free block; DescribeVSwitches lists the taken ones.",
        "Take a free block; the VPC's page lists the taken ones.",
    ),
    "IncorrectVpcStatus": _WAIT,
    "DependencyViolation": "Remove what is named first.",
    "QuotaExceeded.Vpc": by("DeleteVpc", _UNNEEDED),
    "QuotaExceeded.VSwitch": by("DeleteVSwitch", _UNNEEDED),
    "ParameterIllegal.CenInstanceId": _CENS,
    "InvalidCenId.NotFound": _CENS,
    "QuotaExceeded.Cen": by("DeleteCen", _UNNEEDED),
    "InvalidTransitRouterId.NotFound": _ROUTERS,
    "InvalidPeerTransitRouterId.NotFound": _ROUTERS,
    "IllegalParam.PeerTransitRouterId": _ROUTERS,
    "InvalidCenBandwidthPackageId.NotFound": _PLANS,
    "IllegalParam.CenBandwidthPackageId": _PLANS,
    "InvalidTransitRouterAttachmentId.NotFound": _ATTACHMENTS,
    "InvalidTransitRouterRouteTableId.NotFound": _TABLES,
    "ParameterIllegal.ChildInstanceId": _lists(
        "DescribeCenAttachedChildInstances", "The CEN instance's page", "what is attached"
    ),
    "MissingParam.CenIdOrRegionId": "Name CenId and RegionId, or TransitRouterId alone.",
    "MissingParam.Bandwidth": "Name Bandwidth, in Mbit/s.",
    "IllegalParam.Bandwidth": "Name it in Mbit/s as a whole number, like 10.",
    "IncorrectStatus.Vpc": _WAIT,
    "IncorrectStatus.VpcOrVswitch": _WAIT,
    "IncorrectStatus.Attachment": both(_WAIT, _ATTACHMENTS),
    "IncorrectStatus.TransitRouter": both(_WAIT, _ROUTERS),
    "InvalidOperation.CenInstanceStatus": both(_WAIT, _CENS),
    "InvalidOperation.ChildInstanceAlreadyAttached": Remedy(
        "DetachCenChildInstance or DeleteTransitRouterVpcAttachment takes it off the other first.",
        "Detach takes it off the other first.",
    ),
    "InvalidOperation.BwpNotAssociated": Remedy(
        "AssociateCenBandwidthPackage gives it to the CEN.", "Associate gives it to the CEN."
    ),
    "InvalidOperation.BwpBandwidthExceeded": Remedy(
        "DescribeCenGeographicSpanRemainingBandwidth says what is left;"
        " ModifyCenBandwidthPackageSpec makes the plan larger.",
        "Bandwidth Plans says what is left, and makes the plan larger.",
    ),
    "InvalidOperation.BwpBusinessStatus": Remedy(
        "RenewBandwidthPlan renews it.", "Renew the plan."
    ),
    "IncorrectStatus.BandwidthPackage": _PLANS,
    "QuotaExceeded.Bandwidth": "Name less, or give another connection less.",
    "QuotaExceeded.CenQuotaVpcAttachPerTransitRouter": by(
        "DeleteTransitRouterVpcAttachment", _UNNEEDED
    ),
    "QuotaExceeded.BandwidthPackage": by("DeleteCenBandwidthPackage", _UNNEEDED),
    "QuotaExceeded.Grant": by("RevokeInstanceFromTransitRouter", "Revoke one that is not needed"),
    "Forbbiden.AttachChildInstanceAcrossUid": Remedy(
        "Its owner grants it to the CEN: GrantInstanceToTransitRouter.",
        "Its owner does it in the console: VPCs, Cross-account Authorization, Authorize Cross"
        " Account Attach CEN.",
    ),
    "Forbbiden.TransitRouterServiceNotOpen": Remedy("OpenTransitRouterService opens it.", ""),
    "Operation.Blocking": _WAIT,
    "Unauthorized": "Ask the owner of what is named.",
    "GrantNotExist": Remedy(
        "DescribeGrantRulesToResource lists the grants of a VPC.",
        "The VPC's tab Cross-account Authorization lists them.",
    ),
    "EntityAlreadyExists.TransitRouter": _ROUTERS,
    "EntityAlreadyExists.PeerAttachment": Remedy(
        "UpdateTransitRouterPeerAttachmentAttribute changes its bandwidth.",
        "Modify changes its bandwidth.",
    ),
    "InvalidOperation.CidrBlockOverlapped": "Take a VPC with another block: routes cannot tell"
    " the two apart.",
    "InvalidDBInstanceId.NotFound": _INSTANCES,
    "InvalidDBInstance.NotFound": _INSTANCES,
    "IncorrectDBInstanceState": _INSTANCE,
    "IncorrectDBInstanceLockMode": _INSTANCE,
    "IncorrectDBInstanceType": _INSTANCE,
    "InvalidAccountName.Duplicate": both("Take another name.", _ACCOUNTS),
    "InvalidAccountName.NotFound": _ACCOUNTS,
    "InvalidSourceCategory": Remedy("aliyunRDS, ecsOnVpc, idcOnVpc or other.", _CHOOSE),
    "InvalidEngineVersion": _OFFER,
    "InvalidDBInstanceClass.NotFound": _OFFER,
    "InvalidPrivateIpAddress": "Leave it out, and a free address of the vSwitch is taken.",
    "OperationDenied.DeletionProtection": "It was created with DeletionProtection, which no action"
    " takes off again.",
    "InvalidSecurityIPList.Format": _WHITELIST,
    "InvalidSecurityIPList.Duplicate": "Name each entry once.",
    "InvalidSecurityIPList.QuotaExceeded": "Put addresses together to blocks, like 10.20.0.0/16.",
    "LimitExceeded.User.AccessKey": by("DisableAccessKey", "Disable one that is not used"),
    "LimitExceeded.User": by("DeleteConsoleUser", _UNNEEDED),
    "EntityNotExist.User": _USERS,
    "EntityAlreadyExists.User": both("Take another name.", _USERS),
    "OperationDenied.LastWayIn": "Make another user or access key first.",
    "InvalidCurrentConnectionString.NotFound": _lists(
        "DescribeDBInstanceNetInfo", "Database Connection", "the endpoints"
    ),
    "InvalidOperation.NetTypeExists": Remedy(
        "DescribeDBInstanceNetInfo shows it.", "Database Connection shows it."
    ),
    "InvalidProcessId.NotFound": _lists("DescribeSessions", "Sessions", "those there are"),
    "InvalidFindingId.NotFound": Remedy(
        "DescribeAssessment lists the findings with their ids.", "The report lists the findings."
    ),
    "InvalidTaskId.NotFound": _MIGRATIONS,
    "OperationDenied.AssessmentNotPassed": Remedy(
        "CreateCloudMigrationPrecheckTask assesses it.", "Create Feasibility Assessment Task."
    ),
    "OperationDenied.ConfirmationMissing": Remedy(
        "DescribeMigration says what each one confirms.", "Select all of them."
    ),
    "OperationDenied.DestinationNotEmpty": by("CreateDBInstance", "Migrate into a new instance"),
    "OperationDenied.LocalStorage": by("DescribeOffer", "Take a destination with cloud disks"),
    "OperationDenied.ReadOnlyInstances": by("DeleteDBInstance", "Delete the read-only ones first"),
    "OperationDenied.SourceInMigration": _MIGRATIONS,
    "OperationDenied.AccountOwns": "Give what it owns to another account, or drop it.",
    "EntityNotExist.Account": "The operator knows the accounts and their UIDs.",
    "EntityAlreadyExists.Account": "Take another name.",
    "QuotaExceeded.DBInstance": by("DeleteDBInstance", _UNNEEDED),
    "QuotaExceeded.ReadOnlyDBInstance": by("DeleteDBInstance", _UNNEEDED),
    "QuotaExceeded.Account": by("DeleteAccount", _UNNEEDED),
    "QuotaExceeded.Assessment": by("DeleteAssessment", "Delete one that is over"),
    "QuotaExceeded.Migration": by("DeleteMigration", "Delete one that is over"),
}  # fmt: skip
