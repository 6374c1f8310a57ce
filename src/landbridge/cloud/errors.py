"""Every refusal of the control plane: the vendor's code, its HTTP status and a message.

Codes keep the vendor's spelling, misspellings included (`Forbbiden`); those of the group
OURS exist only here. The messages are ours.
"""

from __future__ import annotations

from typing import Any

from ..errors import LandbridgeError
from .remedies import REMEDIES

_Table = dict[str, tuple[int, str]]

#: Of the gateway in front of every product: signature, time, parameters.
GATEWAY: _Table = {
    "MissingParameter": (400, "A parameter that this action needs is missing."),
    "InvalidParameter": (400, "A parameter is not valid."),
    "InvalidAction.NotFound": (404, "There is no such action in this version."),
    "InvalidVersion": (400, "There is no such version."),
    "UnsupportedHTTPMethod": (405, "The method of the request is not supported."),
    "InvalidAccessKeyId.NotFound": (404, "The access key does not exist."),
    "InvalidAccessKeyId.Inactive": (403, "The access key is disabled."),
    "InvalidSecurityToken.MismatchWithAccessKey": (400, "The token is not of this access key."),
    "IncompleteSignature": (400, "The signature is incomplete or has a form we do not know."),
    "SignatureDoesNotMatch": (400, "The signature is not the one we calculated."),
    "SignatureNonceUsed": (400, "The signature nonce was used already."),
    "IllegalTimestamp": (400, "The time of the request is missing or has a wrong form."),
    "InvalidTimeStamp.Expired": (400, "The time of the request is more than 15 minutes off."),
    "Throttling.User": (400, "Too many requests; try again later."),
    "IdempotentParameterMismatch": (400, "The ClientToken was used with other parameters."),
    "DryRunOperation": (400, "The request would have succeeded; this was a dry run."),
    "Forbidden.RAM": (403, "The account may not do this."),
    "InternalError": (500, "An error inside Landbridge."),
    "ServiceUnavailable": (503, "The service cannot work at the moment; try again."),
    "InvalidRegionId.NotFound": (404, "The region does not exist."),
    "InvalidZoneId.NotFound": (404, "The zone does not exist in this region."),
}

VPC: _Table = {
    "InvalidVpcId.NotFound": (404, "The VPC does not exist."),
    "InvalidVSwitchId.NotFound": (404, "The vSwitch does not exist."),
    "InvalidRouteTableId.NotFound": (404, "The route table does not exist."),
    "InvalidVpcName.Malformed": (400, "The name of the VPC is not valid."),
    "InvalidVpcDiscription.Malformed": (400, "The description of the VPC is not valid."),
    "InvalidVSwitchName.Malformed": (400, "The name of the vSwitch is not valid."),
    "InvalidVSwitchDescription.Malformed": (400, "The description of the vSwitch is not valid."),
    "InvalidCidrBlock.Malformed": (400, "The CIDR block is not valid."),
    "InvalidCidrBlock.Overlapped": (400, "The CIDR block overlaps another vSwitch's."),
    "IncorrectVpcStatus": (400, "The VPC is not in a state that permits this."),
    "DependencyViolation": (400, "Something still depends on it."),
    "QuotaExceeded.Vpc": (400, "The account has as many VPCs as it may have."),
    "QuotaExceeded.VSwitch": (400, "The VPC has as many vSwitches as it may have."),
}

CBN: _Table = {
    "ParameterIllegal.CenInstanceId": (400, "The CEN does not exist."),
    "InvalidCenId.NotFound": (400, "The CEN does not exist."),
    "InvalidTransitRouterId.NotFound": (400, "The transit router does not exist."),
    "InvalidCenBandwidthPackageId.NotFound": (400, "The bandwidth plan does not exist."),
    "InvalidPeerTransitRouterId.NotFound": (400, "The peer transit router does not exist."),
    "InvalidTransitRouterAttachmentId.NotFound": (400, "The attachment does not exist."),
    "InvalidTransitRouterRouteTableId.NotFound": (400, "The route table does not exist."),
    "ParameterIllegal.ChildInstanceId": (400, "The VPC is not attached to this CEN."),
    "InvalidName": (400, "The name is not valid."),
    "InvalidDescription": (400, "The description is not valid."),
    "MissingParam.CenIdOrRegionId": (400, "CenId and RegionId, or TransitRouterId, is needed."),
    "MissingParam.Bandwidth": (400, "A bandwidth is needed."),
    "IllegalParam.RegionId": (400, "The region is not valid."),
    "IllegalParam.ZoneId": (400, "The zone is not valid."),
    "IllegalParam.ZoneMappings": (400, "The zones and vSwitches are not valid."),
    "IllegalParam.VSwitchId": (400, "The vSwitch is not valid."),
    "IllegalParam.ChargeType": (400, "The charge type is not valid."),
    "IllegalParam.PeerTransitRouterId": (400, "The peer transit router is not valid."),
    "IllegalParam.PeerRegionId": (400, "The peer region is not valid."),
    "IllegalParam.Bandwidth": (400, "The bandwidth is not valid."),
    "IllegalParam.BandwidthType": (400, "The bandwidth type is not valid."),
    "IllegalParam.CenBandwidthPackageId": (400, "The bandwidth plan is not valid."),
    "Duplicated.ZoneMapping": (400, "A zone is named twice."),
    "InsufficientIpAddr.vsw": (400, "The vSwitch has no free address."),
    "IncorrectStatus.Vpc": (400, "The VPC is not in a state that permits this."),
    "IncorrectStatus.VpcOrVswitch": (400, "The VPC or vSwitch does not permit this now."),
    "IncorrectStatus.Attachment": (400, "The attachment does not permit this now."),
    "IncorrectStatus.TransitRouter": (400, "The transit router does not permit this now."),
    "InvalidOperation.CenInstanceStatus": (409, "The CEN does not permit this now."),
    "InvalidOperation.ChildInstanceAlreadyAttached": (409, "The VPC is attached to a CEN already."),
    "InvalidOperation.BwpNotAssociated": (400, "The bandwidth plan is not of this CEN."),
    "InvalidOperation.BwpBandwidthExceeded": (400, "The bandwidth plan has not so much left."),
    "InvalidOperation.BwpBusinessStatus": (400, "The bandwidth plan has expired."),
    "ParameterIllegal.BandwidthPackageDefaultLinkTypeOnlySupportGold": (
        400,
        "Bandwidth from a plan is of the line type Gold only.",
    ),
    "ParameterIllegal.CdtDefaultLinkTypeOnlySupportPlatinumOrGold": (
        400,
        "The line type is neither Gold nor Platinum.",
    ),
    "OperationUnsupported.BandwidthType": (400, "The bandwidth type cannot be changed so."),
    "QuotaExceeded.Bandwidth": (400, "More bandwidth than an account may have."),
    "QuotaExceeded.CenQuotaVpcAttachPerTransitRouter": (
        400,
        "The transit router has as many attachments as it may have.",
    ),
    "Forbbiden.AttachChildInstanceAcrossUid": (409, "The owner of the VPC has not granted it."),
    "Forbbiden.TransitRouterServiceNotOpen": (400, "The transit router service is not open."),
    "Operation.Blocking": (400, "Another operation is under way; try again."),
    "Unauthorized": (400, "The account may not do this."),
}

RDS: _Table = {
    "InvalidDBInstanceId.NotFound": (404, "The instance does not exist."),
    "InvalidDBInstance.NotFound": (404, "The instance does not exist."),
    "InvalidDBInstanceDescription.Malformed": (400, "The name of the instance is not valid."),
    "IncorrectDBInstanceState": (400, "The instance is not in a state that permits this."),
    "IncorrectDBInstanceLockMode": (400, "The instance is locked."),
    "InvalidAccountName.Duplicate": (400, "The database account exists already."),
    "InvalidAccountName.NotFound": (404, "The database account does not exist."),
    "InvalidSourceCategory": (400, "The kind of the source is not valid."),
    "InvalidEngineVersion": (400, "The engine version is not offered."),
    "InvalidDBInstanceClass.NotFound": (404, "The instance class does not exist."),
    "InvalidPrivateIpAddress": (400, "The address is taken, or not of the vSwitch."),
    "IncorrectDBInstanceType": (400, "The instance is not of a kind that permits this."),
    "OperationDenied.DeletionProtection": (403, "The instance is protected from deletion."),
    "InvalidSecurityIPList.Format": (400, "An entry of the whitelist is not valid."),
    "InvalidSecurityIPList.Duplicate": (400, "An entry of the whitelist is there twice."),
    "InvalidSecurityIPList.QuotaExceeded": (400, "More whitelist than an instance may have."),
    "InvalidDBInstanceIPArrayName.Format": (400, "The name of the whitelist is not valid."),
    "InvalidAccountName.Malformed": (400, "The name of the database account is not valid."),
    "InvalidAccountPassword.Malformed": (400, "The password is not valid."),
    "InvalidAccountDescription.Malformed": (400, "The description is not valid."),
}

#: Who may sign: spelled as the vendor's RAM does where it has such a thing.
RAM: _Table = {
    "LimitExceeded.User.AccessKey": (409, "The account has as many active keys as it may have."),
    "LimitExceeded.User": (409, "The account has as many console users as it may have."),
    "EntityNotExist.User": (404, "The console user does not exist."),
    "EntityAlreadyExists.User": (409, "A console user of that name exists already."),
    "InvalidUserName.Malformed": (
        400,
        "The name of a user begins with a letter; then letters, digits and _ . @ -, at most 64.",
    ),
    "InvalidPassword.Malformed": (400, "The password is not valid."),
    "SignInFailed": (403, "The account, the user or the password is not right."),
    "OperationDenied.LastWayIn": (403, "Nobody could sign in to the account any more."),
}

OURS: _Table = {
    "InvalidCurrentConnectionString.NotFound": (404, "There is no such endpoint."),
    "InvalidOperation.NetTypeExists": (400, "The instance has a public endpoint already."),
    "InvalidProcessId.NotFound": (404, "The session has ended already."),
    "OperationDenied.AccountOwns": (400, "The database account still owns something."),
    "OperationDenied.ServiceSession": (403, "The session is the service's own."),
    "InvalidFindingId.NotFound": (404, "The assessment has no such finding."),
    "InvalidTaskId.NotFound": (404, "The assessment or migration does not exist."),
    "OperationDenied.AssessmentNotPassed": (400, "No successful assessment is of this source."),
    "OperationDenied.ConfirmationMissing": (400, "A switchover needs all confirmations."),
    "OperationDenied.DestinationNotEmpty": (400, "The destination is not empty."),
    "OperationDenied.LocalStorage": (400, "The destination has local disks."),
    "OperationDenied.ReadOnlyInstances": (400, "The destination has read-only instances."),
    "OperationDenied.SourceInMigration": (400, "The source is being migrated already."),
    "EntityNotExist.Account": (404, "The account does not exist."),
    "EntityAlreadyExists.Account": (409, "An account of that name exists already."),
    "EntityAlreadyExists.TransitRouter": (409, "The CEN has a transit router in that region."),
    "EntityAlreadyExists.PeerAttachment": (409, "The two regions are joined already."),
    "GrantNotExist": (404, "There is no such grant."),
    "IncorrectStatus.BandwidthPackage": (400, "The bandwidth plan does not permit this now."),
    "InvalidOperation.CidrBlockOverlapped": (
        409,
        "The CIDR block overlaps that of another VPC of the CEN.",
    ),
    "OperationUnsupported.PeerAttachment": (
        400,
        "An inter-region connection is always associated and propagating.",
    ),
    "OperationUnsupported.ModifyArea": (
        400,
        "The areas of a bandwidth plan cannot be changed after the purchase.",
    ),
    "QuotaExceeded.Cen": (400, "The account has as many CENs as it may have."),
    "QuotaExceeded.Grant": (400, "The VPC is granted to as many CENs as it may be."),
    "QuotaExceeded.BandwidthPackage": (
        400,
        "The account has as many bandwidth plans as it may have.",
    ),
    "QuotaExceeded.DBInstance": (400, "The account has as many instances as it may have."),
    "QuotaExceeded.ReadOnlyDBInstance": (400, "The instance has as many read-only ones as it may."),
    "QuotaExceeded.Account": (400, "The instance has as many database accounts as it may have."),
    "QuotaExceeded.Assessment": (400, "The account has as many assessments as it may have."),
    "QuotaExceeded.Migration": (400, "The account has as many migrations as it may have."),
}

#: code -> HTTP status, message. A code of two groups means the same in both.
CODES: _Table = {**GATEWAY, **VPC, **CBN, **RDS, **RAM, **OURS}

#: The same call may succeed later by itself.
_PASSING = {"Throttling.User", "ServiceUnavailable", "Operation.Blocking"}


class CloudError(LandbridgeError):
    """A call was refused; `code` is a key of CODES, `http` its status, `id` the code too.

    `message` and `remedy` replace those of the tables where facts help.
    """

    def __init__(
        self, code: str, message: str | None = None, *, remedy: str | None = None, **more: Any
    ) -> None:
        self.code = code
        self.http, said = CODES[code]
        advice = remedy or REMEDIES.get(code)
        super().__init__(
            message or said, id=code, retryable=code in _PASSING, remedy=advice, **more
        )
