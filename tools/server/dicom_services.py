"""All DICOM services that a gateway offers, and what it states of them."""

from actors.services.jobs.operations import commitment_plan
from actors.services.remote.commitment_transactions import CommitmentTransactions
from actors.services.remote.outgoing import Admission, admission
from actors.services.remote.target import Target
from api.dicom.commitment_scp import create_commitment_services
from api.dicom.conformance import render_conformance
from api.dicom.echo_scp import create_echo_service
from api.dicom.find_scp import create_find_service
from api.dicom.get_scp import create_get_service
from api.dicom.move_destination import MoveDestinations
from api.dicom.move_scp import create_move_service
from api.dicom.service import Service
from api.dicom.store_scp import create_store_service
from api.dicom.worklist_scp import create_worklist_service
from store.views.find import Finder
from tools.server.composition import ServerSettings
from tools.server.facilities import Facilities


def dicom_services(settings: ServerSettings, own: Facilities) -> tuple[Service, ...]:
    def admit(target: Target) -> Admission:
        return admission(own.filters, target, lambda: own.runtime.ingest().default_encoding)

    def submit_commitment(plan: commitment_plan.CommitmentPlan) -> None:
        own.jobs.submit(commitment_plan.JOB_TYPE, commitment_plan.to_plan(plan), steps=plan.steps)

    transactions = CommitmentTransactions(own.index, settings.scu.commitments_remembered)
    served = settings.dicom.worklists
    worklists = (create_worklist_service(own.views, served, own.filters),) if served.is_enabled else ()
    destinations = MoveDestinations(own.views, own.blobs, settings.scu, own.jobs, own.codecs, admit)
    return (
        create_echo_service(),
        create_store_service(own.ingest),
        create_find_service(Finder(own.views, own.blobs), own.filters),
        *worklists,
        create_get_service(own.views, own.blobs, own.codecs, transcodes=settings.scu.transcode),
        create_move_service(own.views, own.modalities.by_aet, destinations.open_sender, destinations.submit_job),
        *create_commitment_services(submit_commitment, transactions.record),
    )


def conformance_statement(settings: ServerSettings, own: Facilities) -> str:
    return render_conformance(dicom_services(settings, own), own.runtime.dicom(), settings.scu)
