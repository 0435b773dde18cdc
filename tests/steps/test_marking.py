"""How a workspace marks its results: presets, off, the log that ties it all together."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from merged_by_hand import workspace_with_merged, write_plate
from understudy.cli.main import main
from understudy.provenance.keys import studio_paths
from understudy.provenance.verify import verify
from understudy.provenance.xmp import find_xmp

Told = Callable[..., str]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marking")
    return workspace_with_merged(folder / "w", write_plate(folder / "plate.mp4"))


@pytest.fixture
def workspace(source: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(source, tmp_path / "w"))


def deliver(workspace: Path, out: Path, *options: str) -> dict[str, Any]:
    tokens = ["video", "--workspace", str(workspace), "--out", str(out), *options]
    assert main([*tokens, "--encoder-preset", "ultrafast"]) == 0
    return dict(json.loads((workspace / "reports" / "video.json").read_text())["details"])


def pictures(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams.video[0]) if p.size]


def test_the_usual_mark_says_it_in_plain_words_too(workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    deliver(workspace, out)
    assert "compositeWithTrainedAlgorithmicMedia" in find_xmp(out)
    assert "AIGC>" not in find_xmp(out)
    assert verify(out).integrity == "intact"


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi"])
def test_chinas_label(ending: str, workspace: Path, tmp_path: Path) -> None:
    at = ["--workspace", str(workspace)]
    assert main(["consent", *at, "--preset", "cn-gb45438", "--producer", "某公司"]) == 0
    out = tmp_path / f"film{ending}"
    deliver(workspace, out)
    if ending != ".avi":
        with av.open(str(out)) as container:
            tagged = json.loads(container.metadata["AIGC"])
            assert container.streams.video[0].average_rate is not None
        assert (tagged["Label"], tagged["ContentProducer"]) == ("1", "某公司")
        assert len(tagged["ProduceID"]) == 32
    if ending != ".mkv":
        assert "某公司" in find_xmp(out)
    assert verify(out).integrity == "intact"


def test_a_studio_signs_beside_the_file(workspace: Path, tmp_path: Path, told: Told) -> None:
    at = ["--workspace", str(workspace)]
    plain, out = tmp_path / "plain.mp4", tmp_path / "film.mp4"
    assert main(["consent", *at, "--marking", "off"]) == 0
    deliver(workspace, plain)
    assert verify(plain).integrity == "absent"
    assert main(["consent", *at, "--marking", "on", "--preset", "studio"]) == 0
    assert "certificate.pem" in told("video", *at, "--out", out)
    assert not out.exists()
    make_studio_identity()
    try:
        facts = deliver(workspace, out)
    finally:
        for path in studio_paths():
            path.unlink()
    assert "Studio Test" in facts["provenance"]
    assert out.read_bytes() == plain.read_bytes(), "the file itself is left as it is"
    verdict = verify(out)
    assert (verdict.integrity, verdict.place, verdict.issuer) == (
        "intact",
        "sidecar",
        "Studio Test",
    )
    with out.open("r+b") as file:
        file.seek(-50, 2)
        file.write(b"x")
    assert verify(out).integrity == "altered"


def make_studio_identity() -> None:
    """A certificate under a root of its own, as an authority would hand it out."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)])
        for text in ("Studio Root", "Studio Test")
    ]
    chain = []
    for level in (1, 0):
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[level])
            .issuer_name(names[0])
            .public_key(keys[level].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=level == 0, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(keys[level].public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
                critical=False,
            )
        )
        usage = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment"),
                *("data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
                *("encipher_only", "decipher_only"),
            ),
            False,
        )
        usage["key_cert_sign" if level == 0 else "digital_signature"] = True
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        if level == 1:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        chain.append(builder.sign(keys[0], hashes.SHA256()))
    certificate, private_key = studio_paths()
    certificate.parent.mkdir(parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    certificate.write_bytes(b"".join(each.public_bytes(pem) for each in chain))
    private_key.write_bytes(
        keys[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_off_is_on_record(workspace: Path, tmp_path: Path) -> None:
    at = ["--workspace", str(workspace)]
    assert main(["consent", *at, "--marking", "off"]) == 0
    facts = deliver(workspace, tmp_path / "film.mp4")
    assert facts["provenance"] == "provenance: off by the workspace's setting"
    log = workspace / "reports" / "log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(row["step"], row["marking"]) for row in rows[-2:]] == [
        ("consent", "off"),
        ("video", "off"),
    ]


def test_the_log_and_the_film_vouch_for_each_other(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "film.mp4"
    deliver(workspace, out)
    log = workspace / "reports" / "log.jsonl"
    assert main(["verify", str(log)]) == 0
    capsys.readouterr()
    assert main(["verify", str(out), "--workspace", str(workspace), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["integrity"], told["run_log"]) == ("intact", "holds")
    assert told["record"]["run_log_sha256"]
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:-2], lines[-1]]))
    assert main(["verify", str(log)]) == 3
    capsys.readouterr()
    assert main(["verify", str(out), "--workspace", str(workspace), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_log"] == "not of this workspace"
    out.write_bytes(out.read_bytes()[:-9])
    assert main(["verify", str(out), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["integrity"] == "altered"


def test_consent_shows_what_is_recorded(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--workspace", str(workspace)]
    record = ["--subject", "actor-1", "--basis", "contract", "--scope", "the film"]
    assert main(["consent", *at, *record, "--label", "AI generated", "--label-seconds", "4"]) == 0
    capsys.readouterr()
    assert main(["consent", *at]) == 0
    shown = capsys.readouterr().out
    for words in ("actor-1", "contract", "the film", "'AI generated', bottom-right, 4 s, burned"):
        assert words in shown
    assert main(["consent", *at, "--label", ""]) == 0
    assert "AI generated" not in capsys.readouterr().out


@pytest.mark.parametrize("how", ["burned", "subtitle"])
def test_a_visible_label(how: str, workspace: Path, tmp_path: Path) -> None:
    at = ["--workspace", str(workspace)]
    label = ["--label", "AI 生成", "--label-corner", "top-left", "--label-seconds", "0.1"]
    out, plain = tmp_path / "film.mkv", tmp_path / "plain.mkv"
    deliver(workspace, plain, "--format", "ffv1", "--matte", "video")
    assert main(["consent", *at, *label, "--label-as", how]) == 0
    facts = deliver(workspace, out, "--format", "ffv1", "--matte", "video")
    assert "'AI 生成', top-left, 0.1 s" in facts["label"]
    with av.open(str(out)) as container:
        assert len(container.streams.subtitles) == (how == "subtitle")
    before, after = pictures(plain), pictures(out)
    # 0.1 seconds at 23.976 frames per second touch three frames
    same = [old == new for old, new in zip(before, after, strict=True)]
    assert same == ([False] * 3 + [True] * 2 if how == "burned" else [True] * 5)
    masks = [path.with_name(f"{path.stem}_mask.mkv") for path in (plain, out)]
    assert pictures(masks[0]) == pictures(masks[1])
    assert verify(out).integrity == "intact"
