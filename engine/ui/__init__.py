"""The Streamlit door: pages read the latest completed run, nothing here estimates anything."""
