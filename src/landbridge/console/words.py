"""What the API says, in words of the console: pages and buttons instead of actions.

Refusals and remedies are written for callers of the API, who have them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..cloud import CloudError

#: As the API has it -> as the console has it. Whole sentences where one action is not one page.
_SAID = {
    "ListConsoleUsers lists": "Account, Users lists",
    "ListAccessKeys lists the account's keys, CreateAccessKey makes one.": "The page Account lists"
    " the account's keys, Create AccessKey makes one.",
    "DescribeCens lists": "The page CEN lists",
    "ListTransitRouters lists those of a CEN.": "The CEN instance's page lists its own.",
    "DescribeCenBandwidthPackages lists": "The CEN instance's tab Bandwidth Plans lists",
    " (DescribeCenBandwidthPackages)": "",
    "or pay by DataTransfer": "or choose Pay-By-Data-Transfer",
    "DescribeRegions lists the regions, like cn-hangzhou.": "Choose one of the list.",
    "DescribeRegions lists the regions.": "Choose one of the list.",
    "DescribeZones lists the zones of a region, like cn-hangzhou-h.": "Choose one of the list.",
    "DescribeVSwitches lists those of a VPC, ListGrantVSwitchesToCen those of a VPC that another"
    " account granted.": "Choose one of the VPC's own.",
    "DescribeVSwitches lists the taken ones.": "The VPC's page lists the taken ones.",
    "ListTransitRouterVpcAttachments and ListTransitRouterPeerAttachments list them.": "The CEN"
    " instance's page lists them.",
    "ListTransitRouterRouteTables lists those of a transit router.": "",
    "ListTransitRouterRouteTables says which table each transit router has.": "",
    "DescribeGrantRulesToResource says": "The VPC's tab Cross-account Authorization says",
    "DescribeRouteTableList lists those of a VPC.": "The VPC's tab Route Table shows it.",
    "DescribeDBInstances lists the account's instances in a region, ListDBInstances in all.": "The"
    " page RDS instances lists the account's instances.",
    "DescribeDBInstanceAttribute shows its DBInstanceStatus; most changes take Running.": "Most"
    " changes take the status Running, which the instance's page shows.",
    "DescribeAccounts lists those of an instance.": "The instance's tab Accounts lists them.",
    "DescribeOffer lists what there is.": "Create Instance offers what there is.",
    " (DescribeOffer)": "",
    "DescribeCloudMigrationPrecheckResult and DescribeCloudMigrationResult list those of an"
    " instance.": "The instance's tab Cloud Migration/DR Construction lists them.",
    "DescribeVpcs lists the account's VPCs in a region, ListVpcs in all.": "The page VPCs lists"
    " the account's VPCs.",
    "DescribeCenAttachedChildInstances lists": "The CEN instance's page lists",
    "DetachCenChildInstance or DeleteTransitRouterVpcAttachment takes it off the other first.":
    "Detach takes it off the other first.",
    "AssociateCenBandwidthPackage gives": "Associate gives",
    "DescribeCenGeographicSpanRemainingBandwidth says what is left; ModifyCenBandwidthPackageSpec"
    " makes the plan larger.": "Bandwidth Plans says what is left, and makes the plan larger.",
    "RenewBandwidthPlan renews it.": "Renew the plan.",
    "Renew it with RenewBandwidthPlan of version 2026-11-01, or have the regions joined by"
    " DataTransfer.": "Renew it, or choose Pay-By-Data-Transfer.",
    "OpenTransitRouterService opens it.": "",
    "Its owner grants it to the CEN: GrantInstanceToTransitRouter.": "Its owner does it in the"
    " console: VPCs, Cross-account Authorization, Authorize Cross Account Attach CEN.",
    "DescribeGrantRulesToResource lists the grants of a VPC.": "The VPC's tab Cross-account"
    " Authorization lists them.",
    "UpdateTransitRouterPeerAttachmentAttribute changes its bandwidth.": "Modify changes its"
    " bandwidth.",
    "aliyunRDS, ecsOnVpc, idcOnVpc or other.": "Choose one of the list.",
    "DescribeDBInstanceNetInfo lists": "Database Connection lists",
    "DescribeDBInstanceNetInfo shows": "Database Connection shows",
    "(DescribeDBInstanceNetInfo; console: Database Connection)": "(Database Connection)",
    " (DescribeDBInstanceAttribute)": "",
    "DescribeSessions lists": "Sessions lists",
    "DescribeAssessment lists the findings with their ids.": "The report lists the findings.",
    "DescribeAssessment of a new assessment gives": "the report of a new assessment gives",
    "Wait until DescribeAssessment shows nothing that is pending.": "Wait until the report shows"
    " that it is done.",
    "CreateCloudMigrationPrecheckTask assesses it.": "Create Feasibility Assessment Task.",
    "Call CreateCloudMigrationPrecheckTask with the same instance, address, port and account (or"
    " RecheckAssessment), and wait for *Migrate check success*.": "Check Everything Again in its"
    " report, or create another feasibility assessment task, and wait until it is Successful.",
    "DescribeMigration says what each one confirms.": "Select all of them.",
    " (ModifyParameter)": " (Parameters)",
    ", or ForceSwitch=1 (ActivateMigrationTargetInstance)": "",
    "Forced switchover (the console)": "Switch over although the source accepts writes",
    "CancelMigration, then begin": "Cancel the migration, then begin",
    "CancelMigration, set": "Cancel the migration, set",
    "ModifySecurityIps; console: ": "",
    "CreateAccount with AccountType=Super; console: ": "",
    "ResetAccountPassword; console: ": "",
    "console: ": "",
    "DeleteAssessment of version 2026-11-01 forgets one that is over.": "Delete one that is over.",
    "DeleteMigration of version 2026-11-01 forgets one that is over.": "Delete one that is over.",
    "is in the stage precheck; a switchover": "checks prerequisites; a switchover",
    "is in the stage basebackup; a switchover": "makes the full copy; a switchover",
    "is in the stage startup; a switchover": "starts the destination; a switchover",
    "is in the stage increment; a switchover": "is over; a switchover",
    "is in the stage switch; a switchover": "switches over already; a switchover",
    "is in the stage success; a switchover": "is finished; a switchover",
    "begins in the stage increment": "begins in the incremental synchronization",
    "is no integer": "is no whole number",
    "tell the operator the RequestId if it stays": "tell the operator if it stays",
    "docs/coverage.md lists the actions of each version.": "",
}  # fmt: skip
_KNOWN = re.compile("|".join(re.escape(said) for said in sorted(_SAID, key=len, reverse=True)))
#: An action that does to one thing what a button does on its page: `(DeleteVpc)`.
_BUTTON = re.compile(r" \((?:Create|Delete|Disable|Revoke)[A-Z]\w+(?: makes one)?\)")


def plain(text: str) -> str:
    """A refusal or a remedy, for somebody who has pages before them.

    >>> plain("Delete one that is not needed (DeleteVpc).")
    'Delete one that is not needed.'
    """
    return _BUTTON.sub("", _KNOWN.sub(lambda found: _SAID[found[0]], text)).strip()


def said(problem: CloudError) -> CloudError:
    """The same refusal in words of the console."""
    again = CloudError(problem.code, plain(problem.message))
    again.remedy = plain(problem.remedy or "") or None
    return again


def labelled(text: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """A text with labels for names of parameters, and the name that it has first, if any.

    A name is one only in its own spelling; what is plain lower case is a word.

    >>> labelled("Bandwidth is more than 5", {"Bandwidth": "Speed"})
    ('Speed is more than 5', 'Bandwidth')
    """
    first = ""

    def label(found: re.Match[str]) -> str:
        nonlocal first
        first = first or found[0]
        return labels[found[0]]

    known = sorted((name for name in labels if not name.islower()), key=len, reverse=True)
    names = "|".join(map(re.escape, known))
    return (re.sub(rf"\b(?:{names})\b", label, text), first) if names else (text, "")
