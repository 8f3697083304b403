"""Diagnosis: names the causes of bad quality in calls, with evidence and what helps.

findings = plivo_nb.analysis.diagnosis.diagnose(client.samples, calls=client.calls)
"""

from plivo_nb.analysis.diagnosis.diagnosing import diagnose
from plivo_nb.analysis.diagnosis.findings import Evidence, Finding, Findings
from plivo_nb.analysis.diagnosis.loss import LossModel, loss_model

__all__ = ["Evidence", "Finding", "Findings", "LossModel", "diagnose", "loss_model"]
