"""The parts of `sinogram bench` that can be checked without a server."""

import zlib
from io import BytesIO

import pytest
from pydicom import dcmread

from actors.services.codecs.pool import CodecPool
from events.errors import InvalidDicom, InvalidRequest
from tests.transcoded import transcode
from tools.bench.arguments import SCENARIO_NAMES
from tools.bench.cstore_load import parse_file
from tools.bench.finding import STUDIES_PER_DAY, StudySamples
from tools.bench.ingest import SCENARIOS, in_turns
from tools.bench.results import Run, percentile_ms, summarize
from tools.bench.samples import COMPRESSED, INSTANCES_PER_SERIES, SERIES_PER_STUDY, Samples
from tools.bench.targets import Target, parse_options, parse_target


def run(target: str, rate: float, scenario: str = "s", number: int = 1) -> Run:
    return Run(scenario=scenario, target=target, round=number, count=1, seconds=1, rate=rate)


def test_the_same_seed_makes_the_same_files() -> None:
    assert Samples(7, "small").take(3) == Samples(7, "small").take(3)
    assert Samples(7, "small").take(1) != Samples(8, "small").take(1)


def test_a_sample_is_valid_dicom_of_the_size_it_says() -> None:
    file = Samples(7).take(1)[0]
    assert 165_000 < len(file) < 175_000
    read = dcmread(BytesIO(file))
    assert (read.Rows, read.Columns, len(read.PixelData)) == (256, 320, 163_840)
    assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID
    assert read.SOPInstanceUID.is_valid
    assert read.StudyInstanceUID.is_valid


def test_a_phantom_compresses_as_an_image_does_and_noise_does_not() -> None:
    packed = {size: len(zlib.compress(Samples(7, size).take(1)[0])) for size in ("mr", "phantom")}
    assert packed["mr"] > 160_000
    assert 75_000 < packed["phantom"] < 105_000


@pytest.mark.parametrize("syntax", list(COMPRESSED))
def test_a_compressed_phantom_is_the_same_image(syntax: str) -> None:
    (compressed,) = (dcmread(BytesIO(file)) for file in Samples(7, "phantom", syntax).take(1))
    (plain,) = (dcmread(BytesIO(file)) for file in Samples(7, "phantom").take(1))
    codecs = CodecPool()
    try:
        dataset = bytes(transcode(Samples(7, "phantom", syntax).take(1)[0], plain.file_meta.TransferSyntaxUID, codecs))
    finally:
        codecs.close()
    assert compressed.SOPInstanceUID == plain.SOPInstanceUID
    assert len(compressed.PixelData) < 0.6 * len(plain.PixelData)
    assert plain.PixelData in dataset


def test_a_series_is_as_long_as_it_is_asked_for() -> None:
    read = [dcmread(BytesIO(file), stop_before_pixels=True) for file in Samples(7, "small", series_length=3).take(4)]
    assert [each.SeriesInstanceUID == read[0].SeriesInstanceUID for each in read] == [True, True, True, False]


def test_options_are_those_of_servers_by_name() -> None:
    read = parse_options(["orthanc.StorageCompression=true", 'orthanc.Name="a=b.c"', "my.own.StableAge=1"])
    assert read == {"orthanc": {"StorageCompression": True, "Name": "a=b.c"}, "my.own": {"StableAge": 1}}
    for text in ("orthanc.StorageCompression", "orthanc.StableAge=one"):
        with pytest.raises(InvalidRequest, match=r"SERVER\.NAME=JSON"):
            parse_options([text])


def test_samples_are_spread_over_series_studies_and_patients() -> None:
    count = INSTANCES_PER_SERIES * SERIES_PER_STUDY + 1
    read = [dcmread(BytesIO(file), stop_before_pixels=True) for file in Samples(7, "small").take(count)]
    assert len({each.SOPInstanceUID for each in read}) == count
    assert len({each.SeriesInstanceUID for each in read}) == SERIES_PER_STUDY + 1
    assert len({each.StudyInstanceUID for each in read}) == 2
    assert len({each.PatientID for each in read}) == 2


def test_studies_for_queries_have_names_and_dates_of_their_own() -> None:
    read = [dcmread(BytesIO(file)) for file in StudySamples(7, "small").take(STUDIES_PER_DAY + 1)]
    for tag in ("StudyInstanceUID", "PatientID", "AccessionNumber", "PatientName"):
        assert len({str(each[tag].value) for each in read}) == len(read)
    assert [read[0].StudyDate, read[-1].StudyDate] == ["20200101", "20200102"]


def test_reserved_numbers_are_not_given_out_again() -> None:
    samples = Samples(7, "small")
    reserved = list(samples.stream(samples.reserve(2)))
    assert not set(reserved) & set(samples.take(2))


def test_a_file_is_taken_apart_for_cstore() -> None:
    file = Samples(7, "small").take(1)[0]
    parsed = parse_file(file)
    read = dcmread(BytesIO(file))
    assert (parsed.sop_class, parsed.sop_instance) == (read.SOPClassUID, read.SOPInstanceUID)
    assert parsed.transfer_syntax == read.file_meta.TransferSyntaxUID
    assert file.endswith(bytes(parsed.dataset))
    assert bytes(parsed.dataset[:4]) == b"\x08\x00\x05\x00"


def test_a_file_that_is_not_dicom_cannot_be_sent() -> None:
    with pytest.raises(InvalidDicom):
        parse_file(b"hello")


@pytest.mark.parametrize(("percent", "expected"), [(50, 50.0), (99, 99.0), (100, 100.0), (1, 1.0)])
def test_percentiles_are_nearest_rank(percent: int, expected: float) -> None:
    assert percentile_ms([number / 1000 for number in range(1, 101)], percent) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile_ms([], 50) is None


def test_a_summary_gives_medians_and_the_ratio_to_the_first_server() -> None:
    runs = [run("ours", rate) for rate in (90, 110, 100)] + [run("other", rate) for rate in (40, 50, 60)]
    ours, other = summarize(runs)
    assert (ours.target, ours.rate, ours.ratio) == ("ours", 100, None)
    assert (other.target, other.rate, other.ratio) == ("other", 50, 2.0)
    assert (other.lowest_rate, other.highest_rate) == (40, 60)


def test_the_first_server_stays_first_whoever_ran_first() -> None:
    runs = [run("ours", 1, "a"), run("other", 1, "a"), run("other", 1, "b"), run("ours", 1, "b")]
    assert [(line.scenario, line.target) for line in summarize(runs)] == [
        ("a", "ours"),
        ("a", "other"),
        ("b", "ours"),
        ("b", "other"),
    ]


def test_servers_take_turns() -> None:
    targets = [Target(name=name, url="http://x") for name in "abc"]
    assert ["".join(t.name for t in in_turns(targets, number)) for number in (1, 2, 3, 4)] == [
        "abc",
        "bca",
        "cab",
        "abc",
    ]


def test_a_target_is_read_with_all_its_keys() -> None:
    target = parse_target("it=http://h:1/x,dicom=h:2,aet=X,user=a:b:c,pid=9")
    assert target == Target(name="it", url="http://h:1/x", dicom=("h", 2), aet="X", user=("a", "b:c"), pid=9)


@pytest.mark.parametrize(
    "text", ["http://h", "it=h:1", "it=http://h,foo=1", "it=http://h,pid=x", "it=http://h,dicom=h:y"]
)
def test_a_bad_target_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_target(text)


def test_the_command_line_knows_every_scenario() -> None:
    assert set(SCENARIO_NAMES) == set(SCENARIOS)
