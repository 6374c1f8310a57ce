"""What to do after a refusal that says only what is the matter.

Where the facts of a case say more, whoever refuses says it (`CloudError(remedy=...)`). Actions
are named as the API has them; each page of the console stands for those it shows.
"""

from __future__ import annotations

_WAIT = "Wait until it is done, and try again."
_MOMENT = "Write it in UTC like 2026-01-31T12:00:00Z; the machine's clock has to be right."
_BLOCK = "Write it like 10.10.0.0/16, with no bit set after the first 16."
_USERS = "ListConsoleUsers lists the account's users."
_KEYS = "ListAccessKeys lists the account's keys, CreateAccessKey makes one."
_CENS = "DescribeCens lists the account's CENs."
_ROUTERS = "ListTransitRouters lists those of a CEN."
_PLANS = "DescribeCenBandwidthPackages lists the account's plans."
_REGIONS = "DescribeRegions lists the regions, like cn-hangzhou."
_ZONES = "DescribeZones lists the zones of a region, like cn-hangzhou-h."
_VSWITCHES = "DescribeVSwitches lists those of a VPC, ListGrantVSwitchesToCen those of a VPC that"
_VSWITCHES += " another account granted."
_ATTACHMENTS = "ListTransitRouterVpcAttachments and ListTransitRouterPeerAttachments list them."
_TABLES = "ListTransitRouterRouteTables lists those of a transit router."
_INSTANCES = (
    "DescribeDBInstances lists the account's instances in a region, ListDBInstances in all."
)
_INSTANCE = "DescribeDBInstanceAttribute shows its DBInstanceStatus; most changes take Running."
_ACCOUNTS = "DescribeAccounts lists those of an instance."
_OFFER = "DescribeOffer lists what there is."
_MIGRATIONS = "DescribeCloudMigrationPrecheckResult and DescribeCloudMigrationResult list those of"
_MIGRATIONS += " an instance."
_VPCS = "DescribeVpcs lists the account's VPCs in a region, ListVpcs in all."
_WHITELIST = "Write addresses and blocks with commas between, like 10.10.1.7,10.20.0.0/16."

#: Code -> what to do.
REMEDIES: dict[str, str] = {
    "InvalidAction.NotFound": "docs/coverage.md lists the actions of each version.",
    "InvalidVersion": "docs/coverage.md lists the versions and their actions.",
    "UnsupportedHTTPMethod": "Call with GET or POST.",
    "InvalidAccessKeyId.NotFound": "Is it this service's and spelled right? " + _KEYS
    + " Who has none asks the operator.",
    "InvalidAccessKeyId.Inactive": "Use another key. " + _KEYS,
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
    "InternalError": "Try again; tell the operator the RequestId if it stays.",
    "ServiceUnavailable": "Try again in a moment.",
    "InvalidRegionId.NotFound": _REGIONS,
    "IllegalParam.RegionId": _REGIONS,
    "IllegalParam.PeerRegionId": _REGIONS,
    "InvalidZoneId.NotFound": _ZONES,
    "IllegalParam.ZoneId": _ZONES,
    "IllegalParam.ZoneMappings": "Name each zone with a vSwitch in it:"
    " ZoneMappings.1.ZoneId=cn-hangzhou-h, ZoneMappings.1.VSwitchId=vsw-...",
    "Duplicated.ZoneMapping": "Name each zone once.",
    "InvalidVpcId.NotFound": _VPCS + " Another account's has to be granted by its owner.",
    "InvalidVSwitchId.NotFound": _VSWITCHES,
    "IllegalParam.VSwitchId": _VSWITCHES,
    "InsufficientIpAddr.vsw": "Take another vSwitch (CreateVSwitch makes one).",
    "InvalidRouteTableId.NotFound": "DescribeRouteTableList lists those of a VPC.",
    "InvalidCidrBlock.Malformed": _BLOCK,
    "InvalidCidrBlock.Overlapped": "Take a free block; DescribeVSwitches lists the taken ones.",
    "IncorrectVpcStatus": _WAIT,
    "DependencyViolation": "Remove what is named first.",
    "QuotaExceeded.Vpc": "Delete one that is not needed (DeleteVpc).",
    "QuotaExceeded.VSwitch": "Delete one that is not needed (DeleteVSwitch).",
    "ParameterIllegal.CenInstanceId": _CENS,
    "InvalidCenId.NotFound": _CENS,
    "QuotaExceeded.Cen": "Delete one that is not needed (DeleteCen).",
    "InvalidTransitRouterId.NotFound": _ROUTERS,
    "InvalidPeerTransitRouterId.NotFound": _ROUTERS,
    "IllegalParam.PeerTransitRouterId": _ROUTERS,
    "InvalidCenBandwidthPackageId.NotFound": _PLANS,
    "IllegalParam.CenBandwidthPackageId": _PLANS,
    "InvalidTransitRouterAttachmentId.NotFound": _ATTACHMENTS,
    "InvalidTransitRouterRouteTableId.NotFound": _TABLES,
    "ParameterIllegal.ChildInstanceId": "DescribeCenAttachedChildInstances lists what is attached.",
    "MissingParam.CenIdOrRegionId": "Name CenId and RegionId, or TransitRouterId alone.",
    "MissingParam.Bandwidth": "Name Bandwidth, in Mbit/s.",
    "IllegalParam.Bandwidth": "Name it in Mbit/s as a whole number, like 10.",
    "IncorrectStatus.Vpc": _WAIT,
    "IncorrectStatus.VpcOrVswitch": _WAIT,
    "IncorrectStatus.Attachment": f"{_WAIT} {_ATTACHMENTS}",
    "IncorrectStatus.TransitRouter": f"{_WAIT} {_ROUTERS}",
    "InvalidOperation.CenInstanceStatus": f"{_WAIT} {_CENS}",
    "InvalidOperation.ChildInstanceAlreadyAttached": "DetachCenChildInstance or"
    " DeleteTransitRouterVpcAttachment takes it off the other first.",
    "InvalidOperation.BwpNotAssociated": "AssociateCenBandwidthPackage gives it to the CEN.",
    "InvalidOperation.BwpBandwidthExceeded": "DescribeCenGeographicSpanRemainingBandwidth says what"
    " is left; ModifyCenBandwidthPackageSpec makes the plan larger.",
    "InvalidOperation.BwpBusinessStatus": "RenewBandwidthPlan renews it.",
    "IncorrectStatus.BandwidthPackage": _PLANS,
    "QuotaExceeded.Bandwidth": "Name less, or give another connection less.",
    "QuotaExceeded.CenQuotaVpcAttachPerTransitRouter": "Delete one that is not needed"
    " (DeleteTransitRouterVpcAttachment).",
    "QuotaExceeded.BandwidthPackage": "Delete one that is not needed (DeleteCenBandwidthPackage).",
    "QuotaExceeded.Grant": "Revoke one that is not needed (RevokeInstanceFromTransitRouter).",
    "Forbbiden.AttachChildInstanceAcrossUid": "Its owner grants it to the CEN:"
    " GrantInstanceToTransitRouter.",
    "Forbbiden.TransitRouterServiceNotOpen": "OpenTransitRouterService opens it.",
    "Operation.Blocking": _WAIT,
    "Unauthorized": "Ask the owner of what is named.",
    "GrantNotExist": "DescribeGrantRulesToResource lists the grants of a VPC.",
    "EntityAlreadyExists.TransitRouter": _ROUTERS,
    "EntityAlreadyExists.PeerAttachment": "UpdateTransitRouterPeerAttachmentAttribute changes its"
    " bandwidth.",
    "InvalidOperation.CidrBlockOverlapped": "Take a VPC with another block: routes cannot tell"
    " the two apart.",
    "InvalidDBInstanceId.NotFound": _INSTANCES,
    "InvalidDBInstance.NotFound": _INSTANCES,
    "IncorrectDBInstanceState": _INSTANCE,
    "IncorrectDBInstanceLockMode": _INSTANCE,
    "IncorrectDBInstanceType": _INSTANCE,
    "InvalidAccountName.Duplicate": f"Take another name. {_ACCOUNTS}",
    "InvalidAccountName.NotFound": _ACCOUNTS,
    "InvalidSourceCategory": "aliyunRDS, ecsOnVpc, idcOnVpc or other.",
    "InvalidEngineVersion": _OFFER,
    "InvalidDBInstanceClass.NotFound": _OFFER,
    "InvalidPrivateIpAddress": "Leave it out, and a free address of the vSwitch is taken.",
    "OperationDenied.DeletionProtection": "It was created with DeletionProtection, which no action"
    " takes off again.",
    "InvalidSecurityIPList.Format": _WHITELIST,
    "InvalidSecurityIPList.Duplicate": "Name each entry once.",
    "InvalidSecurityIPList.QuotaExceeded": "Put addresses together to blocks, like 10.20.0.0/16.",
    "LimitExceeded.User.AccessKey": "Disable one that is not used (DisableAccessKey).",
    "LimitExceeded.User": "Delete one that is not needed (DeleteConsoleUser).",
    "EntityNotExist.User": _USERS,
    "EntityAlreadyExists.User": f"Take another name. {_USERS}",
    "OperationDenied.LastWayIn": "Make another user or access key first.",
    "InvalidCurrentConnectionString.NotFound": "DescribeDBInstanceNetInfo lists the endpoints.",
    "InvalidOperation.NetTypeExists": "DescribeDBInstanceNetInfo shows it.",
    "InvalidProcessId.NotFound": "DescribeSessions lists those there are.",
    "InvalidFindingId.NotFound": "DescribeAssessment lists the findings with their ids.",
    "InvalidTaskId.NotFound": _MIGRATIONS,
    "OperationDenied.AssessmentNotPassed": "CreateCloudMigrationPrecheckTask assesses it.",
    "OperationDenied.ConfirmationMissing": "DescribeMigration says what each one confirms.",
    "OperationDenied.DestinationNotEmpty": "Migrate into a new instance (CreateDBInstance).",
    "OperationDenied.LocalStorage": "Take a destination with cloud disks (DescribeOffer).",
    "OperationDenied.ReadOnlyInstances": "Delete the read-only ones first (DeleteDBInstance).",
    "OperationDenied.SourceInMigration": _MIGRATIONS,
    "OperationDenied.AccountOwns": "Give what it owns to another account, or drop it.",
    "EntityNotExist.Account": "The operator knows the accounts and their UIDs.",
    "EntityAlreadyExists.Account": "Take another name.",
    "QuotaExceeded.DBInstance": "Delete one that is not needed (DeleteDBInstance).",
    "QuotaExceeded.ReadOnlyDBInstance": "Delete one that is not needed (DeleteDBInstance).",
    "QuotaExceeded.Account": "Delete one that is not needed (DeleteAccount).",
    "QuotaExceeded.Assessment": "Delete one that is over (DeleteAssessment).",
    "QuotaExceeded.Migration": "Delete one that is over (DeleteMigration).",
}  # fmt: skip
