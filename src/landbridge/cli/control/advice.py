"""What to do after a refusal, in the words of this command line.

Where it says nothing the service's own advice is shown.
"""

from __future__ import annotations

_SEE_INSTANCE = "See what it is doing: landbridge instance show INSTANCE"
_SEE_CEN = "See what it has: landbridge cen show CEN"
_SEE_PLANS = "See the plans: landbridge cen plan list"
_KEYS = "The operator sees and makes keys: landbridge account keys ACCOUNT"

#: Code -> advice.
ADVICE: dict[str, str] = {
    "rpc.failed": "Is `landbridge serve` running there? --endpoint says where to ask.",
    "InvalidAccessKeyId.NotFound": _KEYS,
    "InvalidAccessKeyId.Inactive": _KEYS,
    "SignatureDoesNotMatch": f"The secret is not that of the key. {_KEYS}",
    "InvalidTimeStamp.Expired": "Set this machine's clock.",
    "InvalidRegionId.NotFound": "The regions: landbridge vpc regions",
    "IllegalParam.RegionId": "The regions: landbridge vpc regions",
    "InvalidZoneId.NotFound": "The zones: landbridge vpc regions REGION",
    "IllegalParam.ZoneId": "The zones: landbridge vpc regions REGION",
    "InvalidVpcId.NotFound": "Your VPCs: landbridge vpc list. Another account's has to be granted"
    " by its owner: landbridge cen grant VPC CEN UID",
    "DependencyViolation": "Remove what is named first: landbridge cen detach, landbridge cen"
    " disconnect, landbridge cen revoke, landbridge cen plan release, landbridge instance delete",
    "InvalidCenId.NotFound": "Your CENs: landbridge cen list. A grant names the CEN's owner, too.",
    "InvalidOperation.CenInstanceStatus": f"It is still being made or removed. {_SEE_CEN}",
    "IncorrectStatus.TransitRouter": f"It is still being made or removed. {_SEE_CEN}",
    "IncorrectStatus.Attachment": f"It is still being made or changed. {_SEE_CEN}",
    "GrantNotExist": "The grants there are: landbridge cen grants VPC",
    "Forbbiden.AttachChildInstanceAcrossUid": "Its owner has to grant it: landbridge cen grant VPC"
    " CEN UID",
    "InvalidOperation.ChildInstanceAlreadyAttached": "Detach it first: landbridge cen detach CEN"
    " VPC",
    "EntityAlreadyExists.PeerAttachment": "Change its bandwidth: landbridge cen bandwidth CEN"
    " REGION PEER MBIT",
    "InvalidOperation.BwpNotAssociated": "Give it to the CEN: landbridge cen plan associate PLAN"
    " CEN",
    "InvalidOperation.BwpBusinessStatus": f"Renew it: landbridge cen plan renew PLAN. {_SEE_PLANS}",
    "IncorrectStatus.BandwidthPackage": _SEE_PLANS,
    "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold": "Platinum is paid by data"
    " transfer: leave out --plan.",
    "InvalidDBInstanceId.NotFound": "Your instances: landbridge instance list",
    "IncorrectDBInstanceState": _SEE_INSTANCE,
    "InvalidAccountName.NotFound": "The accounts: landbridge instance account list INSTANCE",
    "InvalidTaskId.NotFound": "The tasks: landbridge migration list INSTANCE",
    "OperationDenied.AssessmentNotPassed": "Assess it again: landbridge migration assess INSTANCE"
    " SOURCE --user USER",
    "OperationDenied.DestinationNotEmpty": "Migrate into a new instance: landbridge instance create"
    " VPC",
    "OperationDenied.ConfirmationMissing": "Confirm each: --writes-stopped, --lag-accepted,"
    " --repointing",
}
